"""Fixtures for the tests of commands."""

from tests.support.load_site import site

__all__ = ["site"]
