"""Whether a token may import records at all."""

from __future__ import annotations

from redcap_source import RedcapClient, errors


def may_import(client: RedcapClient) -> bool:
    """Whether the token may import records, found out by importing no rows.

    REDCap checks the right before it reads the rows, so any other answer means that the right is there. Raises what
    leaves the question open.
    """
    try:
        # With a blank in it, because the client answers an empty list of rows itself.
        client.import_records("[ ]")
    except (errors.MissingRight, errors.TokenRefused, errors.Blocked):
        return False
    except errors.RequestRefused:
        return True
    return True
