"""An error that stops the load of one project is a message; a signal is not."""

import pytest

from pipelines.fleet.load_one import load_one
from pipelines.sync.reports import LoadOptions, Progress
from tests.fleet.conftest import explained


def load(site, explain=explained):
    return load_one(site.config, site.config.project("study"), LoadOptions(), explain, Progress())


def test_a_load_that_ends_well_has_a_report_and_no_message(site):
    site.study()
    ended = load(site)
    assert (ended.project, ended.report.outcome, ended.failure) == ("study", "ok", None)


def test_a_load_that_fails_has_a_message_and_no_report(site):
    site.study()
    site.monkeypatch.setenv("TOKEN_STUDY", "0" * 32)
    ended = load(site)
    assert ended.report is None
    assert ended.failure.startswith("explained for study: ") and "rejected the token" in ended.failure


def test_an_error_that_a_signal_caused_ends_the_command(site):
    site.study()
    site.monkeypatch.setenv("TOKEN_STUDY", "0" * 32)
    site.monkeypatch.setattr("pipelines.fleet.load_one.was_interrupted", lambda problem: True)
    with pytest.raises(Exception, match="rejected the token"):
        load(site)
