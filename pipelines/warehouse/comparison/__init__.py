"""Compares what a person submits as proposals with what is published, in temporary tables beside both.

DuckDB reads the file and joins it with the published rows, so that memory does not grow with the file. Not here:
whether two texts are one value, and what may be proposed at all (pipelines.writeback).

submission.py      the nouns: rows of a submission, differences, earlier values
comparison.py      one submission: its refused rows, its proposals, how old it is
cells.py           submissions with a cell a row
rows.py            submissions with a column for each field
source.py          temporary tables filled from Python
comparison_sql.py  the statements over a project's own columns, as text
"""
