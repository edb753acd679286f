"""Fields that are called as the comparison's own columns are."""

import pandas as pd
import pytest

from pipelines.warehouse.comparison.rows import KEY_COLUMNS
from pipelines.warehouse.published.snapshot import PublishedDictionary
from pipelines.writeback import ProposalOptions, propose_file, propose_frame
from pipelines.writeback.proposals.columns import project_columns
from pipelines.writeback.proposals.intake import is_copy
from redcap_source.simulator import Project, Simulator
from redcap_source.simulator.studies.grid import dictionary_from
from tests.support.writeback_site import WritebackSite
from tests.warehouse.tables.test_name_collisions import WORDS

GRID = "# base ~ Base\nrecord_id ~ text ~ ~ Id\n" + "\n".join(f"{word} ~ text ~ ~ Word" for word in WORDS)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A loaded project whose fields have the names that statements use themselves."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        site = WritebackSite(simulator, tmp_path_factory.mktemp("names"), monkeypatch)
        handle = site.add("study", Project(dictionary=dictionary_from(GRID)))
        for record in "123":
            handle.save(record, {word: f"{word} of {record}" for word in WORDS})
        site.night()
        yield site


@pytest.mark.parametrize("form", ["csv", "mixed line ends", "frame"])
def test_a_field_may_be_called_as_a_key_is(named, tmp_path, form):
    """A field called record took the place of the record id, and one called event that of the event."""
    assert set(KEY_COLUMNS) <= set(WORDS)
    frame = pd.DataFrame(named.rows(f"SELECT record_id, {', '.join(map(quoted, WORDS))} FROM study_raw.base"))
    frame.columns = ["record_id", *WORDS]
    for word in WORDS:
        frame.loc[frame.record_id == "2", word] = f"new {word}"
    if form == "frame":
        proposed = propose_frame(named.config, named.project(), frame, ProposalOptions(batch=form))
    else:
        path = tmp_path / "copy.csv"
        frame.to_csv(path, index=False)
        if form == "mixed line ends":
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n", 1))
        proposed = propose_file(named.config, named.project(), path, ProposalOptions(batch=form))
    assert (proposed.accepted, proposed.refused) == (len(WORDS), ())
    told = named.work(
        f"SELECT record, field, seen_value, new_value FROM writeback.proposals WHERE batch = '{form}' ORDER BY field"
    )
    assert told == [("2", word, f"{word} of 2", f"new {word}") for word in sorted(WORDS)]


@pytest.mark.parametrize(
    ("names", "copy"),
    [
        (["record_id", "redcap_event_name", "redcap_repeat_instance", "field", "new", "cells"], True),
        (["record_id", "field", "new"], False),
        (["record_id", "field", "new_value", "cells"], False),
        (["record", "field", "new", "cells"], False),
    ],
)
def test_a_copy_is_told_from_a_table_with_a_cell_a_row_by_the_fields_it_has_besides(names, copy):
    fields = tuple(dictionary_from(GRID).fields)
    published = PublishedDictionary("record_id", "", fields, {"base": "Base"}, frozenset())
    assert is_copy(names, project_columns(published, withholds=False)) is copy


def quoted(word):
    return f'"{word}"'
