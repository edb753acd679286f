"""Sends decided cells to REDCap and accounts for each of them."""
