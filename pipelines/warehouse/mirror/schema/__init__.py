"""Keeps the tables in step with the dictionary, and describes them in schema redcap."""
