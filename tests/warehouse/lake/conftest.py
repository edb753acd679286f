"""The fixtures of these tests: a PostgreSQL, lakes in it, and two published studies."""

from tests.support.lake import lake, publishing
from tests.support.load_site import site
from tests.support.published import published, published_once, truth

__all__ = ["lake", "published", "published_once", "publishing", "site", "truth"]
