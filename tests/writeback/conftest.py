"""The fixtures of these tests: a simulated institution whose studies may be written to."""

from tests.support.writeback_site import classic, repeating, site, study

__all__ = ["classic", "repeating", "site", "study"]
