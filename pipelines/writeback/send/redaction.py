"""REDCap's messages about cells, without the values they quote. Pure."""

from __future__ import annotations

import re


def without(message: str, *values: str) -> str:
    """Return the message without these values, safe to log: longer ones first, short ones only as whole words."""
    for value in sorted(filter(None, values), key=len, reverse=True):
        if len(value) > 3:
            message = message.replace(value, "…")
        else:
            message = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", message)
    return message
