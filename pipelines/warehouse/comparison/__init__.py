"""Compares what a person proposes with what is published."""
