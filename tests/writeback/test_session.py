"""Before a request changes REDCap, the journal that names its cells is kept safe by the store; so are the outcomes."""

from collections.abc import Callable

import pytest

from pipelines.errors import WarehouseError
from pipelines.warehouse.store.file_store import FileStore, MirrorFiles
from pipelines.writeback import Outcome, WritebackStopped
from pipelines.writeback.apply import apply_open
from pipelines.writeback.session import open_session
from tests.support.writeback_site import no_wait, row

JOURNAL = "SELECT status, count(*) FROM writeback.journal WHERE run_id = $run GROUP BY ALL"
# A store whose shared place cannot be reached.
AWAY = "the store cannot be reached"


class KeepingMirrors(MirrorFiles):
    """Mirrors that call a function instead of being kept elsewhere."""

    def __init__(self, folder, kept: Callable[[object], None]) -> None:
        super().__init__(folder)
        self._kept = kept

    def keep(self, project, connection) -> None:
        assert project == "study"
        self._kept(connection)


def apply(site, kept: Callable[[object], None], run_id: str = "run") -> Outcome:
    """A write-back whose mirror is kept by this function."""
    store = FileStore(site.warehouse)
    store.mirrors = KeepingMirrors(site.warehouse, kept)
    with open_session(site.config, site.project(), run_id=run_id, sleep=no_wait, store=store) as session:
        return apply_open(session)


def test_the_journal_is_kept_before_each_request_and_the_outcomes_after_them(site, study):
    found = []

    def kept(connection) -> None:
        found.append((site.imports(), dict(connection.execute(JOURNAL, {"run": "run"}).fetchall())))

    # What is erased is sent in a request of its own.
    site.propose([row("1", "remarks", "clean"), row("2", "remarks", None, clear=True)])
    before = site.imports()
    assert apply(site, kept).confirmed == 2
    assert found == [(before, {"intended": 1}), (before + 1, {"intended": 2}), (before + 2, {"confirmed": 2})]


def test_nothing_is_sent_whose_journal_is_not_safe_and_nothing_twice_whose_outcome_is_not(site, study):
    calls = []

    def away(connection) -> None:
        raise WarehouseError(AWAY)

    def away_afterwards(connection) -> None:
        calls.append(None)
        if len(calls) > 1:
            raise WarehouseError(AWAY)

    site.propose([row("1", "remarks", "clean")])
    before = site.imports()
    with pytest.raises(WarehouseError, match=AWAY):
        apply(site, away)
    assert site.imports() == before
    assert study.value("1", "remarks") == "remark 1"
    # The next run sends it; its outcome could not be kept elsewhere, and is in the mirror.
    with pytest.raises(WarehouseError, match=AWAY):
        apply(site, away_afterwards, run_id="next")
    assert study.value("1", "remarks") == "clean"
    assert ("confirmed",) in site.journal("status")
    assert site.apply().sent == 0


def test_a_store_that_is_lost_between_two_requests_stops_the_second_and_the_first_is_read_back(site, study):
    calls = []

    def once_away(connection) -> None:
        calls.append(None)
        if len(calls) == 2:
            raise WarehouseError(AWAY)

    site.propose([row("1", "remarks", "clean"), row("2", "remarks", None, clear=True)])
    with pytest.raises(WritebackStopped, match=AWAY) as raised:
        apply(site, once_away)
    assert "1 cell" in str(raised.value)
    assert study.value("1", "remarks") == "clean"
    assert study.value("2", "remarks") == "remark 2"
    again = site.apply()
    assert (again.sent, again.confirmed) == (1, 1)
    assert study.value("2", "remarks") == ""
