"""Sends planned cells to REDCap, reads them back, and refreshes their records in the mirror. Nothing else sends.

sender.py     one batch: its requests, retries, and the requests that REDCap rejects
read_back.py  reads cells back after they were sent, or after an earlier run was killed
refresh.py    outcomes into the journal and written records into the mirror, in one transaction
outcomes.py   what happened to each cell, from what REDCap holds afterwards; pure
requests.py   which cells go together, and a request's rows; pure
bisection.py  which cells REDCap rejects; pure
tally.py      counts and messages of a run; pure
redaction.py  REDCap's messages without values; pure
"""
