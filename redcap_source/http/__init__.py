"""The only door to httpx: connections, exchanges, retries, pace."""
