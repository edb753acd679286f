"""What can go wrong: for the person running the simulator, and for a client that asks it something.

The texts REDCap answers with live beside the rule that refuses, not here.
"""

from __future__ import annotations

# Not recorded of a real server.
FOREIGN_RECORD = 'The record "%s" does not exist in your Data Access Group.'


class SimulatorError(Exception):
    """The simulator was given something it cannot use; the message says what, where and what to do."""


class Refusal(Exception):
    """REDCap's answer to a request it will not carry out: a status and a sentence."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


NO_API_PERMISSION = "You do not have permissions to use the API"
