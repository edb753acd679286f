"""Requests over HTTP: connections, exchanges, rate limit, retries, sinks. The only package that imports httpx."""

import sys

if "httpx" not in sys.modules:
    # httpx imports its own command line where it can, and with it click, rich and pygments: a twelfth of the time in
    # which a load starts. Without this module it does what it does where they are not installed.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    import httpx  # noqa: F401

    del sys.modules["httpx._main"]
