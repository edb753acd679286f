"""Answers of REDCap as files: how SQL reads them, and whether they are whole."""
