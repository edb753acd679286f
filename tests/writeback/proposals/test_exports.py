"""REDCap's own exports, edited in a spreadsheet: each cell goes where it came from, and what nobody touched is left."""

import csv
import io
import urllib.parse
import urllib.request

import pandas as pd
import pytest

from pipelines.writeback import Blanks, NotProposed, ProposalOptions, propose_file, propose_frame
from redcap_source.simulator import Simulator
from tests.support.writeback_site import WritebackSite

SPIROMETRY = "2", "baseline_arm_1", "spirometry", "2"
YEARLY = "2", "yearly_visit_arm_1", "", "2"
BASE = "2", "baseline_arm_1", "", ""


@pytest.fixture(scope="module")
def standing(repeating, tmp_path_factory):
    """A loaded study with repeating instruments and a repeating event, in which nothing is written."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        site = WritebackSite(simulator, tmp_path_factory.mktemp("exports"), monkeypatch)
        repeating.put_into(site)
        yield site


def export(site, **parameters):
    """What REDCap's API answers, as text: gray forms as 0, as it does unless asked otherwise."""
    form = {"token": site.handles["study"].token, "content": "record", "format": "csv", **parameters}
    with urllib.request.urlopen(site.simulator.url, urllib.parse.urlencode(form).encode(), timeout=20) as answer:
        return answer.read().decode()


def table(text):
    """An export as rows of cells that can be edited."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def find(rows, record, event="", instrument="", instance="", **more):
    """The one row with these keys."""
    keys = {
        "redcap_event_name": event,
        "redcap_repeat_instrument": instrument,
        "redcap_repeat_instance": instance,
        **more,
    }
    (row,) = [
        row
        for row in rows
        if record in (row.get("study_id"), row.get("record")) and all(row[name] == text for name, text in keys.items())
    ]
    return row


@pytest.fixture
def offer(standing, tmp_path):
    """Saves rows as a spreadsheet would, offers them, and says what was proposed."""
    batches = iter(range(100))

    def offer(rows, site=standing, **wanted):
        path = tmp_path / "export.csv"
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        batch = f"{tmp_path.name} {next(batches)}"
        proposed = propose_file(site.config, site.project(), path, ProposalOptions(batch=batch, **wanted))
        return proposed, proposals(site, batch)

    return offer


def proposals(site, batch):
    return site.work(
        "SELECT record, event, instrument, instance, field, seen_value, new_value FROM writeback.proposals "
        f"WHERE batch = '{batch}' ORDER BY proposal"
    )


FLAT = {"exportSurveyFields": "true", "exportDataAccessGroups": "true"}


@pytest.mark.parametrize(
    "parameters",
    [FLAT, {"type": "eav"}]
    + [pytest.param(more, marks=pytest.mark.fuzz) for more in ({}, {"exportBlankForGrayFormStatus": "true"})],
)
def test_an_export_that_nobody_edited_proposes_nothing(standing, offer, parameters):
    rows = table(export(standing, **parameters))
    for blanks in Blanks:
        proposed, found = offer(rows, blanks=blanks)
        assert (found, proposed.accepted, proposed.refused, proposed.rows) == ([], 0, (), len(rows))
    assert {"act_score", "ratio"} <= {each.column for each in proposed.ignored}


def test_columns_that_are_never_written_are_named_once_with_the_reason(standing, offer):
    rows = table(export(standing, **FLAT))
    for row in rows:
        row["my notes"] = "canary"
    proposed, _ = offer(rows)
    named = {each.column: each.why for each in proposed.ignored}
    assert named["act_score"] == "calculated by REDCap"
    assert named["redcap_survey_identifier"] == "a column that REDCap fills in itself"
    assert named["control_survey_timestamp"] == "a column that REDCap fills in itself"
    assert named[f"column {len(rows[0])}"] == "no field of the project as it was last loaded"
    assert len(named) == len(proposed.ignored)


@pytest.mark.parametrize(
    ("called", "number"),
    [("label", "{}"), ("spirometry", "{}.0")]
    + [pytest.param("label", number, marks=pytest.mark.fuzz) for number in ("{}.0", " {}")]
    + [pytest.param("spirometry", number, marks=pytest.mark.fuzz) for number in ("{}", " {}")],
)
def test_each_edited_cell_goes_to_its_instrument_and_instance(standing, offer, called, number):
    labels = dict(standing.rows("SELECT instrument_name, instrument_label FROM redcap.instruments"))
    rows = table(export(standing))
    find(rows, *SPIROMETRY)["fev1"] = "2.22"
    find(rows, *YEARLY)["fev1"] = "3.33"
    find(rows, *YEARLY)["act_1"] = "5"
    find(rows, *BASE)["height"] = "170"
    for row in rows:
        if row["redcap_repeat_instance"]:
            row["redcap_repeat_instance"] = number.format(row["redcap_repeat_instance"])
        if called == "label" and row["redcap_repeat_instrument"]:
            row["redcap_repeat_instrument"] = labels[row["redcap_repeat_instrument"]]
    proposed, found = offer(rows)
    assert proposed.refused == ()
    assert sorted((*cell[:5], cell[6]) for cell in found) == [
        ("2", "baseline_arm_1", "intake", None, "height", "170"),
        ("2", "baseline_arm_1", "spirometry", "2", "fev1", "2.22"),
        ("2", "yearly_visit_arm_1", "control_survey", "2", "act_1", "5"),
        ("2", "yearly_visit_arm_1", "spirometry", "2", "fev1", "3.33"),
    ]


def test_an_export_that_went_through_pandas_proposes_only_what_was_edited(standing):
    """pandas makes floats of whole numbers that stand beside blanks: instances, codes and truths become 1.0."""
    frame = pd.read_csv(io.StringIO(export(standing)))
    assert frame.redcap_repeat_instance.dropna().map(str).str.endswith(".0").all()
    text = frame.to_csv(index=False)
    for read in (frame, pd.read_csv(io.StringIO(text), dtype=str)):
        batch = f"pandas {read.dtypes.nunique()}"
        proposed = propose_frame(standing.config, standing.project(), read, ProposalOptions(batch=batch))
        assert (proposed.refused, proposals(standing, batch)) == ((), [])
        chosen = (read.study_id.map(str) == "2") & (read.redcap_event_name == "baseline_arm_1")
        read.loc[chosen & (read.redcap_repeat_instrument == "spirometry"), "quality"] = (
            "77.0" if read.quality.dtype == object or str(read.quality.dtype) == "str" else 77.0
        )
        proposed = propose_frame(standing.config, standing.project(), read, ProposalOptions(batch=f"edited {batch}"))
        assert {cell[4:7:2] for cell in proposals(standing, f"edited {batch}")} == {("quality", "77")}
        assert proposed.accepted == 2


def test_what_was_edited_in_both_exports_arrives_in_redcap(repeating, site, tmp_path):
    repeating.put_into(site)
    rows = table(export(site))
    find(rows, *SPIROMETRY)["fev1"] = "2.22"
    find(rows, *YEARLY)["act_comment"] = "two\nlines"
    cells = table(export(site, type="eav"))
    find(cells, *SPIROMETRY, field_name="fvc")["value"] = "4.44"
    for name, edited in (("flat", rows), ("eav", cells)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(edited[0]))
            writer.writeheader()
            writer.writerows(edited)
        propose_file(site.config, site.project(), tmp_path / f"{name}.csv", ProposalOptions(batch=name))
    outcome = site.apply()
    assert (outcome.confirmed, outcome.complete) == (3, True)
    after = table(export(site))
    assert (find(after, *SPIROMETRY)["fev1"], find(after, *SPIROMETRY)["fvc"]) == ("2.22", "4.44")
    assert find(after, *YEARLY)["act_comment"] == "two\nlines"


def test_a_value_in_a_row_of_another_repeating_instrument_is_refused(standing, offer):
    rows = table(export(standing))
    find(rows, *SPIROMETRY)["exac_drug"] = "canary"
    find(rows, *SPIROMETRY)["fev1"] = "2.22"
    proposed, found = offer(rows)
    (refused,) = proposed.refused
    assert refused.why == (
        "it names the repeating instrument spirometry, and holds a value of exacerbations in exac_drug"
    )
    assert (refused.row, found) == (rows.index(find(rows, *SPIROMETRY)) + 1, [])


EVENT = "redcap_event_name", "Baseline", "it names an event that the project does not have"
REPEAT = "redcap_repeat_instrument", "Lung", "it names a repeating instrument that the project does not have"


@pytest.mark.parametrize(
    ("kind", "column", "text", "why"),
    [("flat", *EVENT), ("eav", *REPEAT)]
    + [pytest.param(*case, marks=pytest.mark.fuzz) for case in (("eav", *EVENT), ("flat", *REPEAT))],
)
def test_rows_that_name_what_the_project_does_not_have_are_refused(standing, offer, kind, column, text, why):
    rows = table(export(standing, type=kind))
    rows[3][column] = text
    proposed, found = offer(rows)
    assert ([(each.row, each.why) for each in proposed.refused], found) == ([(4, why)], [])


def test_an_export_without_what_tells_its_rows_apart_is_refused(standing, offer):
    rows = [{k: v for k, v in row.items() if k != "redcap_repeat_instrument"} for row in table(export(standing))]
    with pytest.raises(NotProposed, match="lacks redcap_repeat_instrument"):
        offer(rows)


def test_a_blank_erases_only_where_that_is_asked_for_and_only_in_its_own_row(standing, offer):
    rows = table(export(standing))
    find(rows, *SPIROMETRY)["quality"] = ""
    proposed, found = offer(rows)
    assert (proposed.left, found) == (1, [])
    _, found = offer(rows, blanks=Blanks.CLEAR)
    assert [(*cell[:5], cell[6]) for cell in found] == [(*SPIROMETRY, "quality", "")]


# --- Cell by cell ---


def test_a_row_more_of_an_eav_export_ticks_an_option(standing, offer):
    rows = table(export(standing, type="eav"))
    listed = [row["value"] for row in rows if (row["record"], row["field_name"]) == ("2", "triggers")]
    more = next(code for code in ("1", "2", "3", "-7") if code not in listed)
    ticked = {**find(rows, *BASE, field_name="height"), "field_name": "triggers", "value": more}
    proposed, found = offer([*rows, ticked])
    assert proposed.refused == ()
    column = f"triggers___{more.replace('-', '_')}"
    assert [cell[:5] + cell[6:] for cell in found] == [("2", "baseline_arm_1", "intake", None, column, "1")]
    assert offer([row for row in rows if row["field_name"] != "triggers"])[1] == []


def test_an_option_put_in_the_place_of_another_is_refused_as_nobody_can_tell_what_is_meant(standing, offer):
    rows = table(export(standing, type="eav"))
    listed = [row for row in rows if (row["record"], row["field_name"]) == ("2", "triggers")]
    listed[0]["value"] = next(c for c in ("1", "2", "3", "-7") if c not in {row["value"] for row in listed})
    proposed, found = offer(rows)
    assert found == []
    assert [each.row for each in proposed.refused] == [rows.index(listed[0]) + 1]
    assert "field___code with 1 or 0" in proposed.refused[0].why
    listed[0]["value"] = "12"
    assert offer(rows)[0].refused[0].why == "it ticks an option that its field does not have"


def test_an_eav_export_without_events_is_taken_too(classic, site, tmp_path):
    classic.put_into(site)
    path = tmp_path / "eav.csv"
    text = export(site, type="eav").replace("1,weight,80.0", "1,weight,60.5")
    path.write_text(text)
    proposed = propose_file(site.config, site.project(), path, ProposalOptions(batch="eav"))
    assert (proposed.accepted, proposed.refused, proposed.left) == (1, (), 0)
    assert proposals(site, "eav") == [("1", None, "examination", None, "weight", "80.0", "60.5")]
    flat = tmp_path / "flat.csv"
    flat.write_text(export(site, **FLAT))
    proposed = propose_file(site.config, site.project(), flat, ProposalOptions(batch="flat"))
    assert (proposed.accepted, proposed.refused) == (0, ())
    assert {"bmi", "consent_file", "total"} <= {each.column for each in proposed.ignored}
