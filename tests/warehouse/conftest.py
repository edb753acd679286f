"""The fixtures of these tests: a simulated REDCap with a study, a warehouse folder, and one with published studies."""

from tests.support.load_site import site
from tests.support.published import published, published_once, truth

__all__ = ["published", "published_once", "site", "truth"]
