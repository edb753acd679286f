"""Every method of the REDCap API, in Python's terms: one file for each area, each a part of RedcapClient.

Methods that only read may be sent again after a failure. The client never repeats methods that change something: REDCap
has no idempotency keys, and a lost answer does not stop the server. If one fails in transit, the error is
OutcomeUnknown, and reading shows what happened.
"""
