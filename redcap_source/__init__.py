"""A typed client of the REDCap API, its errors, REDCap's nouns, and what a data dictionary means.

    from redcap_source import RedcapClient, Token

    with RedcapClient("https://redcap.example.edu/api/", Token("..."), project="heart_study") as client:
        client.export_records_to(Path("records.csv"))

The methods are in methods/, one file for each area of the API.

A simulated REDCap to try it on is in `redcap_source.simulator`, which shares no code with the rest.
"""

from redcap_source import dictionary, errors, model
from redcap_source.client import RedcapClient
from redcap_source.http.downloads import SavedFile
from redcap_source.http.rate_limit import RateLimiter
from redcap_source.http.retry import RetryPolicy
from redcap_source.http.session import Calls
from redcap_source.http.sinks import Received
from redcap_source.http.timeouts import Timeouts
from redcap_source.methods.outline import Outline
from redcap_source.methods.records import Imported
from redcap_source.token import Token

Pace = RateLimiter
"""The earlier name of `RateLimiter`."""

__all__ = [
    "Calls",
    "Imported",
    "Outline",
    "Pace",
    "RateLimiter",
    "Received",
    "RedcapClient",
    "RetryPolicy",
    "SavedFile",
    "Timeouts",
    "Token",
    "dictionary",
    "errors",
    "model",
]
