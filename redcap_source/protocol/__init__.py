"""Requests and answers of REDCap's API as values and text. Pure."""
