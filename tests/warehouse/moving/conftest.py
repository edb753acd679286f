"""The fixtures of these tests: a study that may be written to, loaded into files, and a store to move it into."""

from tests.support.moves import moves
from tests.support.writeback_site import classic, site, study

__all__ = ["classic", "moves", "site", "study"]
