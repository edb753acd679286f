"""The fixtures of these tests: a simulated REDCap with a study, and servers that answer with given bytes."""

from tests.support.canned_servers import serve
from tests.support.load_site import site

__all__ = ["serve", "site"]
