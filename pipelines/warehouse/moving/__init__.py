"""Moves a whole warehouse: from files in a folder into a store for several machines, and back."""
