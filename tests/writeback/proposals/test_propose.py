"""What becomes a proposal: one cell a row, edited copies of a table, files, queries and frames; row by row."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

import numpy
import pandas as pd
import pytest

from pipelines.errors import QueryRefused
from pipelines.run import utc_now
from pipelines.writeback import (
    Blanks,
    NotProposed,
    ProposalOptions,
    propose_file,
    propose_frame,
    propose_query,
    propose_rows,
)
from redcap_source.simulator import Simulator
from tests.support.writeback_site import Template, WritebackSite, row, write_csv


def proposals(site, batch="b"):
    return site.work(
        "SELECT record, field, seen_value, new_value, clear FROM writeback.proposals "
        f"WHERE batch = '{batch}' ORDER BY proposal"
    )


def why(proposed):
    return [(refused.row, refused.why) for refused in proposed.refused]


def ignored(proposed):
    """The columns that are never written, with the cells in them that were edited."""
    return {each.column: each.edited for each in proposed.ignored}


@pytest.fixture(scope="module")
def standing(classic, tmp_path_factory):
    """A loaded study that no test changes."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        site = WritebackSite(simulator, tmp_path_factory.mktemp("standing"), monkeypatch)
        classic.put_into(site)
        yield site


@pytest.fixture(scope="module")
def offered(classic, tmp_path_factory):
    """A loaded study to which tests propose, each in batches of its own, and in which nothing is written."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        site = WritebackSite(simulator, tmp_path_factory.mktemp("offered"), monkeypatch)
        classic.put_into(site)
        yield site


@dataclass(frozen=True)
class Later:
    """A study with a night more, in which people changed something; and the time and a table from before it."""

    template: Template
    before: datetime
    examination: pd.DataFrame


@pytest.fixture(scope="module")
def later(classic, tmp_path_factory):
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        site = WritebackSite(simulator, tmp_path_factory.mktemp("later"), monkeypatch)
        study = classic.put_into(site)
        before, examination = utc_now(), table(site, "study", "examination")
        study.save("1", {"remarks": "changed", "town": "Spring\nfield"})
        study.save("2", {"remarks": "changed"})
        study.save("5", {"remarks": "remark 5", "height": "UNK", "class": "UNK", "complaints___1": "1"})
        for name in ("north", "south"):
            study.add_dag(name)
        study.assign_dag("10", "north")
        site.night()
        return Later(Template.of(site), before, examination)


def offer_to(site, what, **wanted):
    """Offers a frame, a file or rows, as whoever runs it would."""
    act = propose_frame if isinstance(what, pd.DataFrame) else propose_rows
    act = act if not hasattr(what, "suffix") else propose_file
    return act(site.config, site.project(), what, ProposalOptions(**{"batch": "b", **wanted}))


@pytest.fixture
def offer(site):
    """Offers to a study of the test's own."""
    return partial(offer_to, site)


@pytest.fixture
def offer_only(offered, request):
    """Offers in a batch of the test's own."""
    return partial(offer_to, offered, batch=request.node.name)


# --- One cell a row ---


def test_bad_rows_are_refused_one_by_one_and_the_good_are_kept(offered, tmp_path, offer_only, request):
    rows = [
        row("1", "weight", "60.5", clear=""),
        row("", "weight", "60.5", clear=""),
        row("1", "", "60.5", clear=""),
        row("2", "weight", "60.5", clear="true"),
        row("2", "remarks", "", clear="yes"),
        row("2", "remarks", "x", clear=""),
        row("3", "weight", "", clear=""),
        row("3", "weight", "x", clear="perhaps"),
        row("1", "weight", "61.5", clear=""),
    ]
    proposed = offer_only(write_csv(tmp_path / "cells.csv", rows))
    assert why(proposed) == [
        (2, "it names no record"),
        (3, "it names no field"),
        (4, "it has a new value and clear as well"),
        (6, "the same cell as row 5"),
        (8, "clear is neither true nor false"),
        (9, "the same cell as row 1"),
    ]
    assert (proposed.rows, proposed.accepted, proposed.left) == (9, 2, 1)
    assert proposals(offered, request.node.name) == [
        ("1", "weight", "80.0", "60.5", False),
        ("2", "remarks", "remark 2", "", True),
    ]


def test_rows_for_another_project_are_refused(offered, tmp_path, offer_only):
    path = tmp_path / "cells.csv"
    path.write_text("project,record,field,new_value\nstudy,1,weight,60.5\nother,2,weight,60.5\n")
    proposed = offer_only(path)
    assert why(proposed) == [(2, "it is for another project")]
    assert proposed.accepted == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('8,town,"Springfield\n9,town,Ogdenville\n10,town,Capital City\n', "opens in line 2 is never closed"),
        ('8,town,x\n9,town,"Springfield\n10,town,"Capital City\n', "opens in line 3 closes in line 4"),
        ("8,town,Spring,field\n9,town,Ogdenville\n", "row in line 2 has 4 cells"),
    ],
)
def test_a_file_with_a_stray_quote_is_refused_whole_with_its_line(standing, tmp_path, text, line):
    path = tmp_path / "cells.csv"
    path.write_text(f"record,field,new_value\n{text}")
    with pytest.raises(NotProposed, match=line) as refused:
        propose_file(standing.config, standing.project(), path)
    assert "Springfield" not in str(refused.value)
    assert standing.work("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'writeback'") == [(0,)]


def test_two_stray_quotes_that_balance_are_invalid_in_a_field_of_one_line(site, study, tmp_path, offer):
    path = tmp_path / "cells.csv"
    path.write_text('record,field,new_value\n1,town,"Springfield\n2,town,Ogdenville"\n3,remarks,"two\nlines"\n')
    assert offer(path).accepted == 2
    outcome = site.apply()
    assert outcome.counts.reasons == {"holds a line break, and the field has a single line": 1}
    assert study.value("3", "remarks") == "two\nlines"


# The rules of text are tested in tests/writeback/decide.
@pytest.mark.fuzz
def test_a_line_break_that_was_cleaned_out_of_a_field_can_be_put_back(site, later, offer):
    study = later.template.put_into(site)
    assert study.value("1", "town") == "Spring\nfield"
    offer([row("1", "town", "Springfield")])
    assert site.apply().complete
    assert study.value("1", "town") == "Springfield"
    assert site.revert().complete
    assert study.value("1", "town") == "Spring\nfield"


@pytest.mark.parametrize("name", ["field", "field_name"])
def test_the_field_may_be_named_as_redcap_names_it(offered, tmp_path, offer_only, name, request):
    path = tmp_path / "cells.csv"
    path.write_text(f"record,{name},new_value\n1,weight,60.5\n")
    assert offer_only(path).accepted == 1
    assert proposals(offered, request.node.name) == [("1", "weight", "80.0", "60.5", False)]


def test_what_was_seen_is_the_published_night_unless_a_row_says_it(site, study, offer):
    study.save("1", {"weight": "99.9"})
    offer([row("1", "weight", "60.5"), row("2", "weight", "60.5", seen_value="77.7"), row("4", "weight", "60.5")])
    # A number seen in a typed table is what was published.
    offer([row("3", "weight", "60.5", seen_value=82.0), row("2", "weight", "60.5", seen_value="81")], batch="typed")
    assert [p[2] for p in proposals(site)] == ["80.0", "77.7", None]
    assert [p[2] for p in proposals(site, "typed")] == ["82.0", "81.0"]
    assert site.apply(batch="typed").confirmed == 2


@pytest.mark.fuzz
def test_a_night_long_ago_can_be_what_was_seen(site, study):
    looked = utc_now()
    study.save("1", {"weight": "90.0"})
    site.night()
    wanted = ProposalOptions(batch="b", as_of=looked)
    propose_rows(site.config, site.project(), [row("1", "weight", "60.5"), row("2", "weight", "60.5")], wanted)
    assert [p[2] for p in proposals(site)] == ["80.0", "81.0"]
    outcome = site.apply()
    assert (outcome.confirmed, outcome.counts.conflict) == (1, 1)


def test_rows_may_name_their_own_batch_author_and_reason(offered):
    rows = [row("1", "weight", "1.5", batch="x", author="a", reason="r"), row("2", "weight", "1.5")]
    proposed = offer_to(offered, rows, batch="y", author="b", reason="s")
    assert proposed.batches == ("x", "y")
    told = offered.work(
        "SELECT batch, author, reason FROM writeback.proposals WHERE batch IN ('x', 'y') ORDER BY proposal"
    )
    assert told == [("x", "a", "r"), ("y", "b", "s")]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ("record,field,new_value,seen_vale", "its column 4 is not one of"),
        ("record,field,new,new_value", "its column 4 is not one of"),
        ("field,new_value", "it has no column record"),
        ("a,b", "neither the columns record, field and new_value nor the record id record_id"),
        ("record_id,about_nothing", "no field of the project"),
        ("record_id,bmi", "no field of the project that may be written"),
        ("record_id,weight,weight", "two of its columns have the same name"),
        ("record,field_name,value,canary", "its column 4 is not one of an EAV export"),
    ],
)
def test_a_file_that_is_neither_format_is_refused_by_the_places_of_its_columns(standing, tmp_path, columns, why):
    path = tmp_path / "file.csv"
    path.write_text(f"{columns}\n{','.join('canary' for _ in columns.split(','))}\n")
    with pytest.raises(NotProposed) as refused:
        propose_file(standing.config, standing.project(), path)
    assert why in str(refused.value)
    assert "canary" not in str(refused.value)


# --- An edited copy of a table ---


def test_of_an_edited_copy_only_the_differing_cells_are_proposed(site, study, offer):
    frame = table(site, "study", "examination")
    frame.loc[frame.record_id == "1", "weight"] = 60.5
    frame.loc[frame.record_id == "2", "smoker"] = True
    frame.loc[frame.record_id == "3", "exam_at"] = datetime(2024, 1, 5, 9, 30)
    frame.loc[frame.record_id == "4", "complaints___1"] = False
    frame.loc[frame.record_id == "4", "remarks"] = None
    smoked = site.rows("SELECT smoker FROM study_raw.examination WHERE record_id = '2'")[0][0]
    proposed = offer(frame)
    assert proposed.left == 1
    changed = {(record, name): (seen, new) for record, name, seen, new, _ in proposals(site)}
    assert changed.pop(("3", "exam_at"))[1] == "2024-01-05 09:30"
    if smoked != "1":
        assert changed.pop(("2", "smoker")) == (smoked, "1")
    assert changed == {("1", "weight"): ("80.0", "60.5"), ("4", "complaints___1"): ("1", "0")}
    assert site.apply().complete


INSTRUMENTS = ("examination", "measures", "identification", "enrolment")
USUAL = [("study", "examination", "frame"), ("study_raw", "measures", "frame"), ("study_raw", "examination", "file")]
USUAL += [("study", instrument, "file") for instrument in INSTRUMENTS]
RARE = [
    (schema, instrument, form)
    for schema in ("study", "study_raw")
    for instrument in INSTRUMENTS
    for form in ("frame", "file")
    if (schema, instrument, form) not in USUAL
]


@pytest.mark.parametrize("copies", [USUAL, pytest.param(RARE, marks=pytest.mark.fuzz)], ids=["usual", "rare"])
def test_an_untouched_copy_proposes_nothing_typed_or_verbatim_or_through_a_file(offered, tmp_path, offer_only, copies):
    for schema, instrument, form in copies:
        copy = table(offered, schema, instrument)
        if form == "file":
            copy.to_csv(tmp_path / "copy.csv", index=False)
            copy = tmp_path / "copy.csv"
        proposed = offer_only(copy)
        assert (schema, instrument, form, proposed.accepted, proposed.refused) == (schema, instrument, form, 0, ())


def test_a_blank_in_a_copy_erases_only_if_that_is_asked_for_and_somebody_could_see_the_value(site, later, offer):
    study = later.template.put_into(site)
    frame = table(site, "study", "examination").astype({"complaints___1": object})
    # A code that is no choice is listed as not fitting, but shown.
    assert frame.loc[frame.record_id == "5", "class"].tolist() == ["UNK"]
    frame.loc[frame.record_id == "5", ["remarks", "complaints___1", "class"]] = None
    # The typed table shows the missing-data code as empty; nobody has emptied it.
    assert frame.loc[frame.record_id == "5", "height"].isna().all()
    proposed = offer(frame, blanks=Blanks.CLEAR)
    assert proposed.accepted == 3
    site.apply()
    emptied = ("remarks", "complaints___1", "class", "height")
    assert [study.value("5", name) for name in emptied] == ["", "", "", "UNK"]


def test_a_copy_with_a_row_twice_or_without_an_id_keeps_the_others(offered, offer_only, request):
    frame = pd.DataFrame({"record_id": ["1", "1", None, "2"], "weight": [60.5, 61.5, 62.5, 63.5]})
    proposed = offer_only(frame)
    assert why(proposed) == [(2, "the same keys as row 1"), (3, "it names no record")]
    assert [(p[0], p[3]) for p in proposals(offered, request.node.name)] == [("1", "60.5"), ("2", "63.5")]


def test_a_copy_of_a_repeating_table_needs_its_keys_and_makes_new_instances(site, repeating):
    handle = repeating.put_into(site)
    frame = table(site, "study", "exacerbations")
    with pytest.raises(NotProposed, match="lacks redcap_event_name and redcap_repeat_instance"):
        propose_frame(site.config, site.project(), frame.drop(columns=["redcap_event_name", "redcap_repeat_instance"]))
    frame["redcap_repeat_instance"] = frame["redcap_repeat_instance"].astype("object")
    frame.loc[0, "exac_drug"] = "changed"
    frame.loc[len(frame)] = frame.loc[0].to_dict() | {"redcap_repeat_instance": "new", "exac_drug": "added"}
    before = handle.project.records.get(frame.loc[0, "study_id"]).slots
    propose_frame(site.config, site.project(), frame, ProposalOptions(batch="b"))
    outcome = site.apply()
    assert outcome.counts.reasons == {}
    after = handle.project.records.get(frame.loc[0, "study_id"]).slots
    assert len(after) == len(before) + 1
    assert outcome.complete


def test_a_file_from_before_the_last_night_undoes_nothing(site, later, tmp_path, offer):
    """What a person changed since looks edited back in it; rows that cannot be told apart are refused."""
    study = later.template.put_into(site)
    copy = later.examination.copy()
    copy.loc[copy.record_id == "2", "remarks"] = "mine"
    copy.loc[copy.record_id == "3", "remarks"] = "third"
    path = tmp_path / "copy.csv"
    copy[copy.record_id.isin(["1", "2", "3"])].to_csv(path, index=False)
    proposed = offer(path)
    assert [one.row for one in proposed.refused] == [1, 2]
    assert "holds what the table showed before" in proposed.refused[0].why
    assert "the copy seems to be older" in proposed.refused[1].why
    assert [p[:4] for p in proposals(site)] == [("3", "remarks", "remark 3", "third")]
    # Whoever says when it was made gets what was seen then: the changed cell is a conflict, the untouched one nothing.
    named = offer(path, as_of=later.before, batch="named")
    assert (named.accepted, named.refused) == (2, ())
    # An old value can be restored by a file that tells its age, and by a frame.
    copy = table(site, "study", "examination")
    copy.loc[copy.record_id == "1", "remarks"] = "remark 1"
    copy.to_csv(path, index=False)
    assert offer(path, batch="restored").accepted == 0
    assert offer(path, as_of=utc_now(), batch="restored").accepted == 1
    assert offer(copy, batch="frame").accepted == 1
    outcome = site.apply(batch="named")
    assert (outcome.counts.conflict, study.value("1", "remarks"), study.value("2", "remarks")) == (
        1,
        "changed",
        "changed",
    )


def test_an_edited_data_access_group_is_told_and_not_proposed(site, later, offer):
    later.template.put_into(site)
    frame = table(site, "study", "examination")
    assert list(frame["redcap_data_access_group"].dropna()) == ["north"]
    proposed = offer(frame)
    assert (proposed.accepted, ignored(proposed)["redcap_data_access_group"]) == (0, 0)
    frame.loc[frame.record_id == "10", "redcap_data_access_group"] = "south"
    proposed = offer(frame)
    assert (proposed.accepted, ignored(proposed)["redcap_data_access_group"]) == (0, 1)


# --- Where it comes from ---


def table(site, schema, instrument):
    """A published table as pandas gets it."""
    import duckdb

    with duckdb.connect(str(site.warehouse.database), read_only=True) as connection:
        return connection.execute(f"SELECT * FROM {schema}.{instrument} ORDER BY 1").df()


def test_a_parquet_file_and_a_frame_give_the_same_proposals(offered, tmp_path):
    import duckdb

    query = "SELECT record_id AS record, 'weight' AS field, weight + 1 AS new_value FROM study.examination"
    with duckdb.connect(str(offered.warehouse.database), read_only=True) as connection:
        connection.execute(f"COPY ({query}) TO '{tmp_path / 'cells.parquet'}' (FORMAT parquet)")
        frame = connection.execute(query).df()
    offer_to(offered, tmp_path / "cells.parquet", batch="p")
    offer_to(offered, frame, batch="f")
    assert sorted(proposals(offered, "p")) == sorted(proposals(offered, "f"))
    assert ("1", "weight", "80.0", "81.0", False) in proposals(offered, "p")


def test_a_query_over_the_published_warehouse_proposes(offered, tmp_path):
    query = (
        "SELECT record_id AS record, 'weight' AS field, 70.5 AS new_value, 'low' AS reason "
        "FROM study.examination WHERE weight = 80"
    )
    asked = ProposalOptions(batch="query")
    assert propose_query(offered.config, offered.project(), query, asked).accepted == 1
    (tmp_path / "clean.sql").write_text(query.replace("80", "81"))
    assert offer_to(offered, tmp_path / "clean.sql", batch="query in a file").accepted == 1
    told = proposals(offered, "query") + proposals(offered, "query in a file")
    assert [(p[0], p[3]) for p in told] == [("1", "70.5"), ("2", "70.5")]
    with pytest.raises(QueryRefused):
        propose_query(offered.config, offered.project(), "SELECT nothing FROM nowhere")
    with pytest.raises(QueryRefused):
        propose_query(offered.config, offered.project(), "DELETE FROM redcap.records")


def test_a_frame_with_a_named_index_numpy_values_and_dates(offered, offer_only, request):
    frame = pd.DataFrame(
        {
            "record": ["1", "1", "2"],
            "field": ["weight", "d_ymd", "systolic"],
            "new_value": [numpy.float64(60.5), date(2024, 1, 5), numpy.int64(120)],
        }
    ).set_index(["record", "field"])
    offer_only(frame)
    assert [p[3] for p in proposals(offered, request.node.name)] == ["60.5", "2024-01-05", "120"]


def test_a_value_without_a_spelling_refuses_its_row_and_is_not_repeated(offered, offer_only):
    proposed = offer_only([row("1", "weight", timedelta(days=77)), row("2", "weight", "60.5")])
    assert why(proposed) == [(1, "a value has no spelling in REDCap: it is a timedelta")]
    assert proposed.accepted == 1


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("cells.xlsx", b"x", "is not a .csv, .parquet or .sql file"),
        ("cells.csv", "record,field,new_value\n1,town,Z\u00fcrich\n".encode("latin-1"), "not UTF-8"),
        ("cells.csv", b"", "it is empty"),
        ("cells.parquet", b"canary", "cannot be read as a Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(standing, tmp_path, name, content, why):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Exception, match=why):
        propose_file(standing.config, standing.project(), path)
    with pytest.raises(NotProposed, match="does not exist"):
        propose_file(standing.config, standing.project(), tmp_path / "missing.csv")


def test_spreadsheets_with_semicolons_and_a_byte_order_mark_are_read(offered, tmp_path, offer_only, request):
    path = tmp_path / "cells.csv"
    path.write_bytes('\ufeffrecord;field;new_value\r\n1;remarks;"a; b"\r\n'.encode())
    assert offer_only(path).accepted == 1
    assert proposals(offered, request.node.name)[0][3] == "a; b"


@pytest.mark.parametrize("form", ["parquet", "sql"])
def test_a_number_of_single_precision_keeps_the_digits_it_shows(offered, tmp_path, offer_only, form, request):
    import duckdb

    query = "SELECT '1' AS record, 'weight' AS field, 160.1::FLOAT AS new_value"
    path = tmp_path / f"cells.{form}"
    if form == "parquet":
        duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)").close()
    else:
        path.write_text(query)
    offer_only(path)
    assert [p[3] for p in proposals(offered, request.node.name)] == ["160.1"]
