"""Every method of the REDCap API, in Python's terms: one file for each area, each a part of RedcapClient.

Methods that only read may be sent again after a failure. Methods that change something are never sent twice on the
client's own account: REDCap knows no idempotency key, and a lost answer does not stop the server. Where one fails on
the way, the error is OutcomeUnknown, and reading shows what happened.
"""
