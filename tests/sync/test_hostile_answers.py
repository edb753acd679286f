"""What a load makes of answers that no honest server sends: kept and told, or one clear error."""

import pytest

from pipelines.sync.load import load_project
from redcap_source import errors
from tests.simulator.grids import classic
from tests.support.load_site import still

HALF = "\ud83d"


def test_half_characters_in_labels_and_values_stop_no_load_and_are_kept_and_told(site):
    handle = site.add("study", classic(*[{"id": str(number), "note": str(number)} for number in range(1, 9)]))
    handle.save("3", {"note": f"old {HALF}"})
    handle.change_field("age", field_label=f"Age {HALF}")
    report = site.night()
    assert report.outcome == "ok"
    [[message]] = site.rows("SELECT message FROM redcap.sync_runs")
    assert "half a surrogate pair" in message and r"\ud83d" in message
    assert site.rows("SELECT id, note FROM study_raw.visit WHERE id IN ('2', '3') ORDER BY id") == [
        ("2", "2"), ("3", r"old \ud83d"),
    ]  # fmt: skip
    [[label]] = site.rows("SELECT field_label FROM redcap.data_dictionary WHERE field_name = 'age'")
    assert label == r"Age \ud83d"
    # The same again is no change.
    again = site.night(full=True)
    assert (again.rows_inserted, again.rows_updated, again.rows_deleted) == (0, 0, 0)


# The test above has a night with them.
@pytest.mark.fuzz
def test_a_night_without_half_characters_says_nothing_of_them(site):
    site.loaded_study()
    assert site.rows("SELECT message FROM redcap.sync_runs") == [(None,)]


@pytest.mark.parametrize("kind", ["bomb", "endless"])
def test_records_without_end_are_asked_for_less_and_then_given_up_with_one_clear_error(site, kind):
    site.study(records=40)
    site.simulator.faults.add(kind, content="record", nth=4, times=None, size=4 << 20)
    config = site.config
    with pytest.raises(errors.AnswerTooLong, match="1,000,000 bytes"):
        load_project(
            config, config.project("study"), sleep=lambda seconds: None, stopwatch=still, answer_limit=1_000_000
        )
    # Nothing of it is left behind.
    assert not [path for path in (site.folder / "warehouse").rglob("*") if path.suffix in (".csv", ".json")]
    struck = [request for request in site.simulator.requests if request.content == "record"]
    # Three before it, five of them, and what was under way or waited for its turn when the fifth failed.
    assert len(struck) <= 12


def test_one_answer_that_is_too_long_is_asked_for_in_halves(site):
    site.study(records=40)
    site.simulator.faults.add("endless", content="record", nth=4)
    config = site.config
    report = load_project(
        config, config.project("study"), sleep=lambda seconds: None, stopwatch=still, answer_limit=1_000_000
    )
    assert (report.outcome, report.records_loaded) == ("ok", 40)
