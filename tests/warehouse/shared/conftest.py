"""The S3 server that the tests of shared places have in common."""

from collections.abc import Iterator

import pytest

from tests.support.s3 import S3Server, Way, running_s3, way_to


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """One server for all tests; each makes a bucket of its own."""
    with running_s3() as server:
        yield server


@pytest.fixture
def way(s3: S3Server) -> Iterator[Way]:
    """A way to the server on which requests can be refused."""
    with way_to(s3) as proxy:
        yield proxy
