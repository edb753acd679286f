"""Edits that people make in REDCap's web pages: the same rules and log as the API, under the people's own names."""
