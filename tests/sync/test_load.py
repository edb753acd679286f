"""The whole load against a simulated REDCap over loopback: what is published equals a fresh export."""

import pytest

from pipelines.errors import LoadRefused, WarehouseBusy
from pipelines.warehouse.mirror.open import open_mirror
from redcap_source import errors
from tests.support.export_oracle import expected, published
from tests.support.warehouse_oracle import NEWEST_SNAPSHOT

pytestmark = pytest.mark.both_stores


@pytest.mark.parametrize(("kind", "records"), [("classic", 12), ("longitudinal", 12), ("repeating", 40)])
def test_the_warehouse_equals_a_fresh_export_and_its_views_show_the_same_rows(site, kind, records):
    handle = site.loaded_study(kind, records)
    assert published(site, "study") == expected(site.simulator.url, handle.token)
    told = site.rows("SELECT outcome, mode, records_loaded, records_in_redcap FROM redcap.sync_runs")
    assert told == [("ok", "full", records, records)]
    views = [name for (name,) in site.rows("SELECT view_name FROM duckdb_views() WHERE schema_name = 'study_raw'")]
    assert len(views) > 3
    for view in views:
        [counts] = site.rows(
            f"SELECT (SELECT count(*) FROM study.{view}), (SELECT count(*) FROM study_labels.{view}), "
            f"(SELECT count(*) FROM study_raw.{view})"
        )
        assert len(set(counts)) == 1, view


def test_the_dictionary_gives_types_labels_and_comments(site):
    site.loaded_study()
    types = dict(site.rows("SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'study'"))
    assert {types[name] for name in ("dob", "exam_at", "systolic", "bmi", "consent", "zip", "sex")} == {
        "DATE",
        "TIMESTAMP",
        "BIGINT",
        "DOUBLE",
        "BOOLEAN",
        "VARCHAR",
    }
    comments = dict(site.rows("SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'study'"))
    assert comments["dob"] == "Date of birth"
    assert "|" in comments["sex"]
    labels = {label for (label,) in site.rows("SELECT DISTINCT sex FROM study_labels.enrolment WHERE sex IS NOT NULL")}
    choices = {label for (label,) in site.rows("SELECT label FROM redcap.field_choices WHERE field_name = 'sex'")}
    assert labels <= choices


def test_values_that_do_not_fit_are_null_when_typed_verbatim_when_raw_and_listed(site):
    site.loaded_study("repeating", 40)
    misfits = site.rows(
        "SELECT i.record, i.value, r.height, t.height FROM redcap.invalid_values i "
        "JOIN study_raw.intake r ON r.study_id = i.record JOIN study.intake t ON t.study_id = i.record "
        "WHERE i.field = 'height' AND i.reason = 'missing data code'"
    )
    assert misfits
    assert all(value == raw and typed is None for _, value, raw, typed in misfits)


@pytest.mark.both_stores("always")
def test_a_second_night_without_changes_writes_no_rows(site):
    site.loaded_study("repeating", 40)
    report = site.night()
    assert (report.rows_inserted, report.rows_updated, report.rows_deleted) == (0, 0, 0)
    assert site.rows(f"SELECT count(*) FROM redcap.record_changes WHERE run_id = '{report.run_id}'") == [(0,)]


def test_records_deleted_while_the_load_runs_are_not_missed(site):
    handle = site.study("classic", 12)
    gone = handle.records()[5]
    site.simulator.before_request(lambda: handle.delete(gone), content="record", nth=4)
    report = site.night()
    assert report.outcome == "ok"
    assert published(site, "study") == expected(site.simulator.url, handle.token)


def test_a_token_without_special_rights_loads_all_records_and_says_what_it_may_not_read(site):
    handle = site.study("repeating", 20)
    handle.set_rights(design=0, user_rights=0, data_access_groups=0)
    site.night()
    assert published(site, "study") == expected(site.simulator.url, handle.token)
    ((unreadable,),) = site.rows("SELECT not_readable FROM redcap.projects")
    assert {"repeating setup", "users", "user roles"} <= set(unreadable)
    assert site.rows("SELECT count(*) FROM redcap.invalid_values WHERE reason LIKE 'contradicts%'") == [(0,)]
    assert site.rows("SELECT max(redcap_repeat_instance) > 1 FROM study.spirometry") == [(True,)]


# -- refusals ------------------------------------------------------------------------------------------------


def test_a_project_that_lost_most_records_is_refused_until_it_is_meant(site):
    handle = site.loaded_study()
    before = site.rows("SELECT count(*) FROM study.enrolment")
    for record in handle.records()[3:]:
        handle.delete(record)
    with pytest.raises(LoadRefused, match=r"9 of 12 records.*--allow-deletions"):
        site.night()
    assert site.rows("SELECT count(*) FROM study.enrolment") == before
    assert site.night(allow_deletions=True).records_deleted == 9
    assert published(site, "study") == expected(site.simulator.url, handle.token)
    assert site.rows("SELECT count(*) FROM redcap.records WHERE deleted_at IS NULL") == [(3,)]


def test_a_suddenly_empty_project_is_refused(site):
    handle = site.loaded_study()
    for record in handle.records():
        handle.delete(record)
    with pytest.raises(LoadRefused, match="12 of 12 records"):
        site.night()


def test_a_token_of_another_project_is_refused(site, monkeypatch):
    site.study("classic", 4)
    other = site.study("repeating", 4, name="other")
    site.load()
    monkeypatch.setenv("TOKEN_STUDY", other.token)
    with pytest.raises(LoadRefused, match="the token belongs to REDCap project"):
        site.night()


def test_a_token_that_sees_fewer_fields_is_refused_until_it_is_meant(site):
    handle = site.loaded_study()
    handle.set_rights(forms_export=3)
    with pytest.raises(LoadRefused, match=r"no longer sees \d+ fields.*--allow-narrower"):
        site.night()
    assert site.rows("SELECT count(last_name) > 0 FROM study.enrolment") == [(True,)]
    site.night(allow_narrower=True)
    ((hidden,),) = site.rows("SELECT hidden_fields FROM redcap.projects")
    assert "last_name" in hidden
    columns = site.rows("SELECT column_name FROM duckdb_columns() WHERE schema_name = 'study'")
    assert ("last_name",) not in columns


@pytest.mark.fuzz  # tests/sync/test_incremental.py has it with a classic project.
def test_a_token_put_into_a_data_access_group_deletes_nothing(site):
    handle = site.loaded_study("longitudinal", 12)
    ((group,), *_) = site.rows("SELECT unique_group_name FROM redcap.data_access_groups")
    handle.set_rights(dag=group)
    with pytest.raises(LoadRefused, match="data access group"):
        site.night()
    assert site.rows("SELECT count(*) FROM redcap.records WHERE deleted_at IS NOT NULL") == [(0,)]


def test_one_load_of_a_project_at_a_time(site):
    site.study("classic", 4)
    with site.store as other:
        with other.mirrors.working("study", "other"), pytest.raises(WarehouseBusy, match="in use by another process"):
            site.load()
        assert not other.mirrors.exists("study")
    assert site.load().outcome == "ok"


# -- trouble on the way --------------------------------------------------------------------------------------

# Those of one load strike different requests.
RECOVERED = [
    [("502", "metadata", {}), ("503", "project", {}), ("500", "record", {}), ("truncate_line", "record", {"nth": 5})],
    [("empty", "metadata", {}), ("504", "record", {}), ("reset", "record", {"nth": 3})],
    [("truncate", "record", {}), ("html", "record", {"nth": 3}), ("drop_records", "record", {"nth": 5})],
]
MORE_RECOVERED = [
    [("truncate", "record", {"wrong_length": True})],
    [("drop_records", "record", {"nth": 4})],
    [("empty", "record", {"nth": 4})],
    [("memory", "record", {"nth": 4})],
]


@pytest.mark.parametrize(
    "faults",
    [*RECOVERED, *(pytest.param(faults, marks=pytest.mark.fuzz) for faults in MORE_RECOVERED)],
    ids=lambda faults: ", ".join(kind for kind, *_ in faults),
)
def test_passing_faults_cost_time_and_nothing_else(site, faults):
    handle = site.study("classic", 12)
    for fault, content, options in faults:
        site.simulator.faults.add(fault, content=content, **options)
    report = site.night()
    assert site.simulator.faults.unused() == ()
    assert report.outcome == "ok"
    assert published(site, "study") == expected(site.simulator.url, handle.token)


LASTING = [
    ("500", "version"),
    ("reset", "project"),
    ("truncate", "metadata"),
    ("empty", "record"),
    ("html", "record"),
    ("ban", "record"),
]
MORE_LASTING = [
    ("502", "metadata"),
    ("504", "record"),
    ("truncate", "record"),
    ("empty", "version"),
    ("memory", "record"),
    ("php_warning", "record"),
]


def seen(site):
    """What changes with anything that is published."""
    return site.rows(NEWEST_SNAPSHOT) if site.store_settings else site.warehouse.database.read_bytes()


def statuses(site):
    """The status of the study."""
    with site.store as store:
        return store.statuses(["study"])


@pytest.mark.parametrize("faults", [LASTING, pytest.param(MORE_LASTING, marks=pytest.mark.fuzz)], ids=["usual", "more"])
def test_a_lasting_fault_is_one_error_and_leaves_yesterdays_file(site, faults):
    handle = site.loaded_study()
    yesterday = seen(site)
    handle.save(handle.records()[0], {"town": "Neuland"})
    for fault, content in faults:
        site.simulator.faults.add(fault, content=content, times=None)
        with pytest.raises(errors.RedcapError) as raised:
            site.night()
        assert "study" in str(raised.value), (fault, content)
        assert seen(site) == yesterday, (fault, content)
        site.simulator.faults.clear()
        site.simulator.faults.reset_ban()
    site.night()
    assert published(site, "study") == expected(site.simulator.url, handle.token)


def test_a_failed_run_is_in_the_ledger_with_its_reason(site):
    site.study("classic", 4)
    site.simulator.faults.add("502", content="metadata", times=None)
    with pytest.raises(errors.ServerOverloaded):
        site.load()
    with open_mirror(site.warehouse.mirror("study"), "study") as mirror:
        ((outcome, message),) = mirror.connection.execute("SELECT outcome, message FROM redcap.sync_runs").fetchall()
    assert outcome == "failed"
    assert "metadata" in message


def test_status_shows_the_last_run_and_the_last_good_one(site):
    site.loaded_study()
    [good] = statuses(site)
    site.simulator.faults.add("502", content="metadata", times=None)
    with pytest.raises(errors.ServerOverloaded):
        site.load()
    [standing] = statuses(site)
    assert (standing.last_outcome, standing.records) == ("failed", 12)
    assert standing.last_run != good.last_run
    assert standing.last_good is not None
    site.simulator.faults.clear()
    latest = site.night()
    [standing] = statuses(site)
    assert (standing.last_run, standing.last_outcome) == (latest.run_id, "ok")


def test_nothing_is_left_in_staging(site):
    site.loaded_study()
    site.simulator.faults.add("reset", content="record", nth=4, times=None)
    with pytest.raises(errors.RedcapError):
        site.night(full=True)
    assert [path for path in (site.warehouse.work / "staging").rglob("*") if path.is_file()] == []


def test_files_are_for_their_owner_only(site):
    site.loaded_study()
    folders = [site.warehouse.path, *([site.folder / "shared"] if site.store_settings else [])]
    for folder in folders:
        assert any(path.is_file() for path in folder.rglob("*")), folder
        for path in [folder, *folder.rglob("*")]:
            assert path.stat().st_mode & 0o077 == 0, path
