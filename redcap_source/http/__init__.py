"""Requests over HTTP: connections, exchanges, rate limit, retries, sinks. The only package that imports httpx."""
