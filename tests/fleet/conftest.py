"""The fixtures of these tests: a simulated REDCap with several studies, and a warehouse folder."""

import pytest

from redcap_source.simulator import make_study
from tests.support.load_site import site

__all__ = ["several", "site"]


def explained(project, problem):
    """The message for an error."""
    return f"explained for {project}: {problem}"


@pytest.fixture
def several(site):
    """The site, with three small studies in projects.yaml."""
    for seed, name in enumerate(("anna", "bella", "clara")):
        site.add(name, make_study("classic", records=5, seed=seed))
    return site
