"""Reads what people submit as proposals: a file, a query, a frame or rows of Python become cells with a wanted value.

propose.py       the functions for each kind of submission; stores what was proposed
intake.py        which format a submission has
table.py         columns and rows, in REDCap's spelling
files.py         checks a CSV file strictly, and refuses it by its line
columns.py       what the names in a submission mean
long.py          one cell a row
wide.py          an edited copy of a table, or REDCap's flat export
wide_columns.py  what each column of such a table is
eav.py           REDCap's EAV export, edited
edited.py        which cells of an edited copy are proposals
label_export.py  recognizes an export of labels
staleness.py     whether an edited file is older than what it is compared with
"""
