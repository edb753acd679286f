"""Staged chunks replace rows; what rows were is kept."""
