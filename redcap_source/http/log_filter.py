"""Suppress the logs of the HTTP libraries during this library's calls.

At DEBUG, httpcore logs the headers of answers, which can contain file names and, in redirects, whole requests. Only
log records of our own calls are dropped: other users of httpx in the same process are not affected.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")
_calling: ContextVar[bool] = ContextVar("redcap_source_calling", default=False)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _calling.get()


def install_log_filter() -> None:
    """Install the filter; calling again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_not_ours)


@contextmanager
def suppress_http_logs() -> Iterator[None]:
    """HTTP traffic in the block is not logged by the HTTP libraries."""
    token = _calling.set(True)
    try:
        yield
    finally:
        _calling.reset(token)
