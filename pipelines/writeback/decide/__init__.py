"""Which proposed cells may be written, and what to do about each. Pure: no clock, file or connection.

cells.py         a planned cell, REDCap's current values, counts of decisions
reasons.py       why a cell is not written
rules.py         one rule for each column
rulebook.py      a project's rules together
value_checks.py  whether REDCap would accept a value
values.py        spelling, and when two spellings are the same value
record_ids.py    record ids that REDCap may take for one another
decide.py        write, already there, conflict or invalid
"""
