"""The fixtures of these tests: a simulated REDCap with a study, and a warehouse folder."""

from tests.support.load_site import site

__all__ = ["site"]
