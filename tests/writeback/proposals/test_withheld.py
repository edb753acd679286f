"""Identifiers that the warehouse does not keep, or keeps as hashes only: no offer of them leaves a value anywhere."""

import json

import pytest

from pipelines.cli.main import main
from pipelines.writeback import ProposalOptions, propose_file, propose_frame, propose_rows, publish_results, withdraw
from redcap_source.simulator import Simulator
from tests.support.writeback_site import WritebackSite, row, values, write_csv

CANARY = "Zaphod Canary"


@pytest.fixture(scope="module", params=["hash", pytest.param("drop", marks=pytest.mark.fuzz)])
def private(request, tmp_path_factory):
    """The classic study, loaded without its identifiers."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        keys = f"identifiers: {request.param}"
        site = WritebackSite(simulator, tmp_path_factory.mktemp(request.param), monkeypatch, keys=keys)
        site.study(records=4)
        site.night()
        yield site


def assert_nowhere(site, *texts):
    """The canary stands in no byte of any file of the warehouse, and in no text."""
    for path in site.warehouse.path.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path.name
    for text in texts:
        assert CANARY not in text


def fields(site, batch):
    found = site.work(f"SELECT DISTINCT field FROM writeback.proposals WHERE batch = '{batch}' ORDER BY 1")
    return [name for (name,) in found]


ROWS = [
    row("1", "last_name", CANARY, seen_value=f"old {CANARY}", reason="typing error"),
    row("1", "nosuchfield", CANARY, seen_value="", reason=""),
    row("1", "redcap_survey_identifier", CANARY, seen_value="", reason=""),
    row("1", "town", "Springfield", seen_value="", reason=""),
]


@pytest.mark.parametrize("way", ["rows", "mixed line ends", pytest.param("csv", marks=pytest.mark.fuzz)])
def test_a_proposal_for_an_identifier_is_refused_and_its_value_kept_nowhere(private, tmp_path, way):
    wanted = ProposalOptions(batch=way)
    if way == "rows":
        proposed = propose_rows(private.config, private.project(), ROWS, wanted)
    else:
        path = write_csv(tmp_path / "cells.csv", ROWS)
        if way == "mixed line ends":
            path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n", 1))
        proposed = propose_file(private.config, private.project(), path, wanted)
    assert [each.row for each in proposed.refused] == [1, 2, 3]
    assert all(each.why.endswith("its value was not kept") for each in proposed.refused)
    assert (proposed.accepted, fields(private, way)) == (1, ["town"])
    plan = private.plan(batch=way)
    assert publish_results(private.config, private.project(), plan)
    assert_nowhere(private, repr(proposed), repr(plan))


def test_a_refusal_names_the_field_where_the_warehouse_knows_it(private):
    proposed = propose_rows(private.config, private.project(), ROWS[:1], ProposalOptions(batch="named"))
    assert ("last_name is an identifier" in proposed.refused[0].why) is (private.keys == "identifiers: hash")


@pytest.mark.parametrize("kind", ["flat", "eav"])
def test_identifiers_in_an_export_are_left_out_and_the_rest_is_taken(private, tmp_path, kind):
    if kind == "flat":
        rows = [{"record_id": "1", "last_name": CANARY, "redcap_survey_identifier": CANARY, "town": "Ogdenville"}]
    else:
        rows = [
            {"record": "1", "field_name": "last_name", "value": CANARY},
            {"record": "1", "field_name": "town", "value": "Ogdenville"},
        ]
    path = write_csv(tmp_path / "export.csv", rows)
    proposed = propose_file(private.config, private.project(), path, ProposalOptions(batch=kind))
    assert (proposed.accepted, fields(private, kind)) == (1, ["town"])
    assert proposed.ignored or proposed.refused
    assert_nowhere(private, repr(proposed))


def test_identifiers_in_a_frame_are_left_out(private):
    import pandas as pd

    frame = pd.DataFrame({"record_id": ["1"], "last_name": [CANARY], "town": ["Shelbyville"]})
    proposed = propose_frame(private.config, private.project(), frame, ProposalOptions(batch="frame"))
    assert (proposed.accepted, fields(private, "frame")) == (1, ["town"])
    assert_nowhere(private, repr(proposed))


def test_the_command_says_what_was_refused_and_not_what_stood_in_it(private, tmp_path, capsys, monkeypatch):
    path = write_csv(tmp_path / "cells.csv", ROWS)
    command = ["redcap-warehouse", "propose", "study", str(path), "--config", str(private.path)]
    for more in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", [*command, *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        printed = capsys.readouterr()
        assert_nowhere(private, printed.out, printed.err)
    assert [each["row"] for each in json.loads(printed.out)["refused"]] == [1, 2, 3]


def test_no_byte_of_any_proposal_is_left_once_identifiers_are_kept_out(study, site):
    """Whatever became of it: open in another batch, superseded, withdrawn, invalid for another reason."""
    private = row("1", "last_name", CANARY, seen_value=f"old {CANARY}")
    site.propose([private, row("1", "nosuchfield", CANARY)], batch="superseded")
    site.propose([row("3", "last_name", "", clear="true", seen_value=CANARY)], batch="cleared")
    site.plan()
    site.propose([private], batch="withdrawn")
    withdraw(site.config, site.project(), "withdrawn")
    site.propose(
        [row("2", "last_name", CANARY), row("1", "bmi", "21.5"), row("1", "town", "Springfield")], batch="open"
    )
    assert publish_results(site.config, site.project(), site.plan())
    assert CANARY.encode() in site.warehouse.database.read_bytes()
    before = site.work("SELECT count(*) FROM writeback.proposals")
    site.allowed["study"] = "{fields: [last_name, town]}, identifiers: drop"
    # A plan of one batch empties the others too.
    plan = site.plan(batch="superseded")
    assert publish_results(site.config, site.project(), plan)
    assert_nowhere(site, repr(plan))
    assert site.work("SELECT count(*) FROM writeback.proposals") == before
    told = "SELECT batch, field, status, decision, new_value FROM writeback.proposals ORDER BY proposal"
    assert site.work(told) == [
        ("superseded", "last_name", "superseded", "conflict", None),
        ("superseded", "nosuchfield", "invalid", "invalid", None),
        ("cleared", "last_name", "invalid", "invalid", None),
        ("withdrawn", "last_name", "withdrawn", None, None),
        ("open", "last_name", "invalid", "invalid", None),
        ("open", "bmi", "open", "invalid", "21.5"),
        ("open", "town", "open", "write", "Springfield"),
    ]
    # What was emptied is not sent where identifiers are kept again.
    site.allowed["study"] = "{fields: [last_name, town]}"
    outcome = site.apply()
    assert (outcome.sent, study.value("1", "town")) == (1, "Springfield")
    assert CANARY not in repr(values(study))


def test_what_was_written_stays_in_the_journal_as_in_the_history(study, site):
    site.propose([row("1", "last_name", "Beeblebrox")])
    site.apply()
    site.allowed["study"] = "{fields: [last_name]}, identifiers: hash"
    site.plan()
    assert site.work("SELECT new_value, status FROM writeback.proposals") == [(None, "confirmed")]
    assert site.journal("new_value, status") == [("Beeblebrox", "confirmed")]
    assert site.revert().counts.invalid == 1
    assert study.value("1", "last_name") == "Beeblebrox"


def test_what_is_no_identifier_is_written_where_the_warehouse_holds_no_more(private):
    """The night finds nothing of it again."""
    private.handles["study"].save("2", {"weight": "80.0"})
    cells = [row("2", "weight", "60.5", seen_value="80.0"), row("2", "first_name", "Anne", seen_value="Ann")]
    proposed = private.propose(cells, batch="written")
    assert (proposed.accepted, len(proposed.refused)) == (1, 1)
    before = private.handles["study"].value("2", "first_name")
    assert private.apply(batch="written").confirmed == 1
    assert private.handles["study"].value("2", "weight") == "60.5"
    assert private.handles["study"].value("2", "first_name") == before
    told = private.work("SELECT DISTINCT field FROM redcap.record_changes WHERE origin = 'writeback'")
    assert ("weight",) in told and ("first_name",) not in told
    known = len(private.changes())
    private.load()
    assert len(private.changes()) == known


def test_where_identifiers_are_kept_they_may_be_proposed(study, site):
    proposed = propose_rows(site.config, site.project(), ROWS[:2], ProposalOptions(batch="kept"))
    assert (proposed.accepted, proposed.refused) == (2, ())
