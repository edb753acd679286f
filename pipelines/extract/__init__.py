"""Fetches from REDCap, and yields only what was verified."""
