"""The fixture of these tests: servers that answer with exactly the bytes a test hands them."""

from tests.support.canned_servers import serve

__all__ = ["serve"]
