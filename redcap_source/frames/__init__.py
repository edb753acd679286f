"""Answers as pandas DataFrames."""
