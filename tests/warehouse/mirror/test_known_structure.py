"""The structure that a mirror keeps is the structure that was read, whatever was in the answers."""

from dataclasses import fields, replace

import pytest

from pipelines.extract.structure import read_structure
from pipelines.warehouse.database.connection import connect
from pipelines.warehouse.mirror.known_structure import (
    as_text,
    digest_of_dictionary,
    from_text,
    known_structure,
    read_known_structure,
    save_known_structure,
)
from pipelines.warehouse.sql import statements
from redcap_source import RedcapClient, Token, model
from redcap_source.simulator import Simulator, make_study


@pytest.fixture(scope="module", params=["14.7.3", "16.1.0", "9.1.0"])
def structure(request):
    """The structure of a study with people, as a server of some version describes it."""
    with Simulator(version=request.param) as simulator:
        handle = simulator.add_project(make_study("longitudinal", records=2, seed=3), name="study")
        handle.add_dag("north")
        handle.add_user("jo", dag="north", design=0)
        if "userRole" in request.param or request.param != "9.1.0":
            handle.assign_role("jo", handle.add_role("Monitor \ud83d"))
        with RedcapClient(simulator.url, Token(handle.token)) as client:
            return read_structure(client, client.version())


def test_what_is_read_back_is_what_was_kept(structure):
    known = known_structure(structure, ("record_id", "age"))
    assert from_text(as_text(known)) == known
    assert known.columns == ("record_id", "age")
    assert known.structure == replace(structure, fields=())


def test_keys_that_this_version_does_not_know_are_kept_for_one_that_does(structure):
    event = model.Event.from_row({"unique_event_name": "e_1", "days_offset": 3, "colour": "red", "tags": [1, None]})
    known = known_structure(replace(structure, events=(event,)), ())
    assert from_text(as_text(known)) == known


def test_a_text_that_is_no_structure_is_none(structure):
    text = as_text(known_structure(structure, ()))
    for broken in (
        "",
        "null",
        "[]",
        "{}",
        text[:-9],
        text.replace('"events"', '"evenings"'),
        text.replace("rows", "x"),
    ):
        assert from_text(broken) is None


@pytest.mark.parametrize("name", [cell.name for cell in fields(model.Field)])
def test_a_dictionary_that_differs_in_anything_has_another_digest(structure, name):
    first, *rest = structure.fields
    changed = replace(first, **{name: {"new": "1"} if name == "extra" else "other"})
    assert digest_of_dictionary(structure.fields) == digest_of_dictionary([replace(first), *rest])
    assert digest_of_dictionary(structure.fields) != digest_of_dictionary([changed, *rest])
    assert digest_of_dictionary(structure.fields) != digest_of_dictionary([*rest, first])


def test_it_is_found_under_its_own_key_only(structure):
    with connect() as connection:
        connection.execute(statements("state")["create_state"])
        known = known_structure(structure, ("record_id",))
        assert read_known_structure(connection, "a") is None
        save_known_structure(connection, "a", known)
        assert read_known_structure(connection, "a") == known
        assert read_known_structure(connection, "b") is None
        save_known_structure(connection, "b", known)
        assert read_known_structure(connection, "a") is None
        save_known_structure(connection, "b", None)
        assert read_known_structure(connection, "b") is None
