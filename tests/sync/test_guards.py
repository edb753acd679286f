"""What a load refuses, without a server, threads or files."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.errors import LoadRefused
from pipelines.extract.change_detection import DetectedChanges
from pipelines.extract.log_reading import LogRead
from pipelines.extract.missing_records import MOST_ALONE
from pipelines.sync.findings import Findings
from pipelines.sync.guards import Guard
from pipelines.warehouse.mirror.schema.renames import Renames
from pipelines.warehouse.mirror.state import PreviousLoad
from pipelines.warehouse.staging.census import Census
from pipelines.warehouse.tables.layout import DATA_ACCESS_GROUP, make_layout
from redcap_source import model
from redcap_source.log.changes import ChangeKind
from redcap_source.log.clock import ServerClock
from tests.support.structures import field, structure

STRICT = Guard(project="study", project_id=None, deletion_limit=0.2, allow_deletions=False, allow_narrower=False)
FIELDS = [field("id", "base"), field("age", "base"), field("town", "base")]
NOW = datetime(2026, 3, 1, 4, tzinfo=UTC).replace(tzinfo=None)


def previous(**known):
    nothing = PreviousLoad(
        project_id=7,
        record_id_field="id",
        visible_columns=("id", "age", "town", "base_complete"),
        watermark=NOW,
        chunk_records=None,
        planned_until=None,
        refreshed=None,
        refreshing=False,
        in_group=None,
        ended=True,
        offset=None,
    )
    return replace(nothing, **known)


def findings(known=10, missing=0, *, deleted=(), readable=True, columns=None, groups=(), of=FIELDS):
    """A project of some known records of which the last are missing; the log shows the `deleted` ones."""
    names = tuple(f"r{number}" for number in range(known))
    found = names[: known - missing]
    project = replace(structure(of), data_access_groups=tuple(model.DataAccessGroup(name, name) for name in groups))
    log = LogRead(latest=dict.fromkeys(deleted, (ChangeKind.DELETED, NOW)), deleted=dict.fromkeys(deleted, NOW))
    return Findings(
        structure=project,
        layout=make_layout(project, columns),
        renames=Renames(),
        detected=DetectedChanges(
            frozenset(), log if readable else None, readable, NOW - timedelta(days=1), ServerClock()
        ),
        known=names,
        census=Census(found, found, {}),
        missing=names[known - missing :],
    )


def refusal(guard, found, before):
    try:
        guard.check(found, before)
    except LoadRefused as problem:
        return str(problem)
    return None


def test_a_project_as_it_was_is_loaded():
    assert refusal(STRICT, findings(), previous()) is None


@pytest.mark.parametrize(
    ("known", "missing", "refused"),
    [(10, 2, False), (10, 3, True), (100, 20, False), (100, 21, True), (2, 2, True), (0, 0, False)],
)
def test_more_deletions_than_the_limit_are_refused(known, missing, refused):
    gone = [f"r{number}" for number in range(known - missing, known)]
    message = refusal(STRICT, findings(known, missing, deleted=gone), previous())
    assert (message is not None) == refused
    assert not refused or ("--allow-deletions" in message and "unchanged" in message)
    allowing = replace(STRICT, allow_deletions=True)
    assert refusal(allowing, findings(known, missing, deleted=gone), previous()) is None


@pytest.mark.parametrize("missing", [MOST_ALONE, MOST_ALONE + 1])
def test_many_deletions_that_the_log_does_not_show_are_refused(missing):
    found = findings(1000, missing)
    assert (refusal(STRICT, found, previous()) is not None) == (missing > MOST_ALONE)
    assert refusal(STRICT, findings(1000, missing, readable=False), previous()) is None


@pytest.mark.parametrize("allowed", [True, False])
def test_fields_that_the_token_no_longer_sees_are_refused(allowed):
    found = findings(columns=("id", "age", "base_complete"))
    message = refusal(replace(STRICT, allow_narrower=allowed), found, previous())
    assert message is None if allowed else "no longer sees 1 field that it saw last time (town)" in message


@pytest.mark.parametrize(
    ("in_group", "columns", "missing", "refused"),
    [
        # It saw the column of groups, and does not any more.
        (False, None, 0, True),
        (None, None, 0, False),
        # It never saw it, and a record is missing.
        (True, None, 1, True),
        # It sees the column still, so it is in no group.
        (False, ("id", DATA_ACCESS_GROUP, "age", "town", "base_complete"), 1, False),
    ],
)
def test_a_token_that_may_have_been_put_into_a_group_is_refused(in_group, columns, missing, refused):
    found = findings(missing=missing, groups=["north"], columns=columns)
    message = refusal(STRICT, found, previous(in_group=in_group))
    assert (message is not None) == refused
    assert not refused or "data access group" in message


def test_names_that_cannot_be_distinguished_are_refused():
    found = findings(of=[*FIELDS, field("Age", "base")])
    assert "cannot be distinguished" in refusal(STRICT, found, previous())


@pytest.mark.parametrize(
    ("before", "configured", "refused"),
    [
        ({}, None, None),
        ({"project_id": 8}, None, "REDCap project 7, not to 8"),
        ({"project_id": 8}, 7, None),
        ({}, 9, "REDCap project 7, not to 9"),
        ({"record_id_field": "subject"}, None, "the record-id field is now id, and was subject"),
        ({"project_id": None, "record_id_field": None}, None, None),
    ],
)
def test_a_token_of_another_project_is_refused(before, configured, refused):
    guard = replace(STRICT, project_id=configured)
    if refused is None:
        guard.check_binding(structure(FIELDS), previous(**before))
    else:
        with pytest.raises(LoadRefused, match=refused):
            guard.check_binding(structure(FIELDS), previous(**before))
