"""Keep the HTTP libraries from logging what passes through them while this library talks.

At DEBUG, httpcore logs the headers of answers, and REDCap puts file names and, in redirects, whole requests there.
Only records from inside our own calls are dropped: other users of httpx in the same process log as they please.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")
_talking: ContextVar[bool] = ContextVar("redcap_source_talking", default=False)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _talking.get()


def install_log_filter() -> None:
    """Install the filter; calling again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_not_ours)


@contextmanager
def suppress_http_logs() -> Iterator[None]:
    """The block's HTTP traffic is not logged by the libraries beneath."""
    token = _talking.set(True)
    try:
        yield
    finally:
        _talking.reset(token)
