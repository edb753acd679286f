"""Proposals as people offer them: a file, a query, a frame or rows of Python become cells with a wanted value.

table.py      columns and rows, in REDCap's spelling
files.py      reading a CSV file strictly, and refusing it by its line
columns.py    what the names in an offer stand for
long.py       one cell a row
wide.py       an edited copy of a table, or REDCap's flat export
eav.py        REDCap's EAV export, edited
edited.py     which cells of an edited copy are proposals
staleness.py  whether an edited file is older than what it is compared with
intake.py     which of these an offer is
"""
