"""Asks REDCap, and passes on only what was verified."""
