"""Errors for the person who runs the simulator, and errors that it answers a client with.

A text that REDCap answers with is kept beside the rule that refuses; only those that several rules share are here.
"""

from __future__ import annotations

NO_API_PERMISSION = "You do not have permissions to use the API"
OUT_OF_MEMORY = (
    "REDCap ran out of server memory. The request cannot be processed. Please try importing/exporting a smaller amount "
    "of data."
)
# Not recorded of a real server.
FOREIGN_RECORD = 'The record "%s" does not exist in your Data Access Group.'


class SimulatorError(Exception):
    """The simulator was given something it cannot use; the message says what, where and what to do."""


class Refusal(Exception):
    """REDCap's answer to a request that it rejects: a status and a sentence."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
