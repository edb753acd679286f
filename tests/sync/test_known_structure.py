"""A quiet night does not read the whole structure, and no night goes by a structure that REDCap no longer has."""

from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import duckdb
import pytest

from pipelines.extract.structure import read_basics, read_structure
from pipelines.sync.known_structure import unchanged
from pipelines.warehouse.mirror.known_structure import KnownStructure, known_structure
from redcap_source import RedcapClient, Token
from redcap_source.errors import RedcapError
from redcap_source.log.setup import may_change_setup
from redcap_source.simulator import ProjectHandle
from tests.support import warehouse_oracle as oracle
from tests.support.edits import small_study
from tests.support.load_site import Site

# Requests that only a load that reads the whole structure makes.
WHOLE = {"exportFieldNames", "instrument", "arm", "event", "formEventMapping", "repeatingFormsEvents", "userRole"}


def small(site: Site, kind: str = "classic", records: int = 2) -> ProjectHandle:
    """A project of three instruments."""
    handle = site.add("study", small_study(kind))
    for record in range(1, records + 1):
        handle.save(str(record), {"age": "40"})
    return handle


def loaded(site: Site, kind: str = "classic") -> ProjectHandle:
    """The same, loaded a day later."""

    def begin(site: Site) -> None:
        site.simulator.clock.advance(hours=-24)
        small(site, kind)
        site.simulator.clock.advance(hours=24)
        site.load()

    return site.begun(f"small-{kind}", begin)


def load(site: Site, hours: int = 24, **options: bool) -> list[str]:
    """A load a day later; the contents that it asked for."""
    site.simulator.clock.advance(hours=hours)
    site.simulator.requests.clear()
    site.load(**options)
    return [request.content for request in site.simulator.requests]


def night(site: Site, hours: int = 24, **options: bool) -> list[str]:
    """The same; the mirror then has the structure that REDCap has."""
    asked = load(site, hours, **options)
    with oracle.Shown(site.warehouse.mirror("study"), "study", "record_id") as shown:
        found = oracle.shown_structure(shown)
    oracle.agree_in_structure(found, oracle.fresh_structure(site.simulator.url, site.handles["study"].token))
    return asked


def reads_whole(asked: list[str]) -> bool:
    """Whether all of the structure was read."""
    assert not WHOLE & set(asked) or set(asked) >= WHOLE
    return set(asked) >= WHOLE


@pytest.mark.parametrize("kind", [pytest.param("classic", marks=pytest.mark.fuzz), "longitudinal"])
def test_a_quiet_night_costs_at_most_eight_requests(site, kind):
    handle = loaded(site, kind)
    asked = night(site)
    assert not reads_whole(asked)
    assert len(asked) <= 8
    handle.save("1", {"age": "41"})
    assert not reads_whole(night(site))
    assert reads_whole(night(site, full=True))
    site.simulator.clock.advance(days=7)
    assert reads_whole(night(site))


# What people do, of which REDCap's log tells.
LOGGED: dict[str, Callable[[ProjectHandle], object]] = {
    "an instrument's label": lambda h: h.relabel_instrument(h.project.dictionary.forms[1], "Another label"),
    "an instrument's name": lambda h: h.rename_instrument(h.project.dictionary.forms[1], "another_name"),
    "an arm's name": lambda h: h.relabel_arm(1, "Another arm"),
    "an event's label": lambda h: h.rename_event(h.project.events[0].unique_name, h.project.events[0].name.swapcase()),
    "an event's name": lambda h: h.rename_event(h.project.events[0].unique_name, "Another event"),
    "the designation": lambda h: h.designate(h.project.events[0].unique_name, h.project.dictionary.forms[:1]),
    "a group": lambda h: h.add_dag("harbour"),
    "a role": lambda h: h.add_role("Monitor", design=0),
    "a role's label": lambda h: h.change_role(next(iter(h.project.roles)), "Auditor"),
    "a user": lambda h: h.add_user("jo"),
    "a user's role": lambda h: h.assign_role("jo", next(iter(h.project.roles))),
    "a user's group": lambda h: h.set_rights("jo", dag="harbour"),
    "a field": lambda h: h.change_field(h.project.dictionary.fields[2].field_name, field_label="Another label"),
    "the missing data codes": lambda h: h.set_missing_codes("-9, Unknown"),
    "a survey": lambda h: h.set_survey(h.project.dictionary.forms[0]),
    "the title": lambda h: h.change_settings(project_title="Another title"),
    "something of a later version": lambda h: h._log("jo", "manage", "Manage/Design", "Something new"),
}
# The same without a word in the log, and what happens outside of the project.
NOT_LOGGED: dict[str, Callable[[ProjectHandle], object]] = {
    "a user's address": lambda h: h.change_profile("jo", email="jo@example.org"),
    "the title": lambda h: h.project.settings.update(project_title="A third title"),
    "the missing data codes": lambda h: h.project.set_missing_codes(""),
    "a field": lambda h: unlogged(h).change_field(h.project.dictionary.fields[2].field_name, field_label="A third"),
    "rights of a role": lambda h: unlogged(h).change_role(next(iter(h.project.roles)), design=1),
    "the version": lambda h: setattr(h.site, "version", "15.0.1"),
}
# What also no list shows that every load reads, but the columns of its answers.
SEEN_IN_COLUMNS: dict[str, Callable[[ProjectHandle], object]] = {
    "a survey": lambda h: h.project.surveys.symmetric_difference_update({h.project.dictionary.forms[0]}),
}


def unlogged(handle: ProjectHandle) -> ProjectHandle:
    """The project for someone whose edits no log shows."""

    class Silent(ProjectHandle):
        def _log(self, *row: str) -> None:
            """Nothing."""

    return Silent(handle.site, handle.project, handle.token)


def test_no_change_of_the_structure_is_missed(site):
    """The log, or what every load reads, shows each change; a night with many changes reads the whole structure."""
    handle = loaded(site, "longitudinal")
    with RedcapClient(site.simulator.url, Token(handle.token)) as client:
        for what, change in LOGGED.items():
            before = len(client.log())
            change(handle)
            assert any(map(may_change_setup, client.log()[:-before])), what
        assert reads_whole(night(site))
        for what, change in NOT_LOGGED.items():
            before = len(client.log())
            known = known_structure(read_structure(client, client.version()), ())
            assert seen_unchanged(client, known), what
            change(handle)
            assert not seen_unchanged(client, known), what
            assert not any(map(may_change_setup, client.log()[:-before])), what
    assert reads_whole(night(site))
    for what, change in SEEN_IN_COLUMNS.items():
        change(handle)
        assert reads_whole(night(site)), what
    assert not reads_whole(night(site))


def seen_unchanged(client: RedcapClient, known: KnownStructure) -> bool:
    """Whether a load would go by the known structure, as far as it looks before it reads the log."""
    return unchanged(known, client.version(), read_basics(client, known.structure)) is not None


@pytest.mark.fuzz
def test_no_single_change_of_the_structure_is_missed(site):
    site.keys = "full_refresh_every: 300 days"
    handle = small(site, "longitudinal")
    night(site)
    for changes in (LOGGED, NOT_LOGGED | SEEN_IN_COLUMNS):
        for what, change in changes.items():
            change(handle)
            assert reads_whole(load(site)), what
        assert not reads_whole(night(site))


def test_a_change_just_before_the_last_load_is_read_once_more_and_not_again(site):
    handle = loaded(site)
    handle.relabel_instrument(handle.project.dictionary.forms[0], "Another label")
    assert reads_whole(night(site, hours=0))
    assert reads_whole(night(site)), "its row is within the overlap of an hour"
    assert not reads_whole(night(site))


# Clocks that disagree prove as little, below.
@pytest.mark.fuzz
def test_without_the_log_everything_is_read_as_before(site):
    handle = loaded(site, "longitudinal")
    handle.set_rights(logging=0)
    for _ in range(2):
        asked = night(site)
        assert reads_whole(asked)
    # As many as before structures were kept, and the log is asked for in vain.
    assert len(asked) <= 18
    unlogged(handle).relabel_instrument(handle.project.dictionary.forms[0], "Another label")
    assert reads_whole(night(site))
    handle.set_rights(logging=1)
    assert reads_whole(night(site))


def test_a_user_in_a_data_access_group_sees_too_little_of_the_log_to_prove_anything(site):
    handle = loaded(site)
    handle.add_dag("north")
    for record in handle.records():
        handle.assign_dag(record, "north")
    handle.set_rights(dag="north")
    assert reads_whole(night(site, allow_narrower=True))
    asked = night(site)
    assert reads_whole(asked)
    # It is not even tried, which would cost some requests more.
    assert len(asked) <= 18


# The test of a user in a data access group has the rule.
@pytest.mark.fuzz
def test_a_token_that_may_not_list_users_shows_by_the_list_of_groups_that_it_is_in_none(site):
    handle = small(site)
    handle.set_rights(user_rights=0)
    # What is refused once may be a failure; refused twice, it is believed.
    for _ in range(2):
        assert reads_whole(night(site))
    asked = night(site)
    assert not reads_whole(asked)
    assert "dag" in asked
    assert len(asked) <= 8
    handle.set_rights(data_access_groups=0)
    for _ in range(2):
        asked = night(site)
        assert reads_whole(asked)
    assert len(asked) <= 18
    # With groups, the columns of its answers show that it is in none.
    handle.add_dag("north")
    assert reads_whole(night(site))
    asked = night(site)
    assert not reads_whole(asked)
    assert len(asked) <= 8


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ("userRole", b'{"error":"no"}'),
        ("formEventMapping", b"[]"),
        pytest.param("userDagMapping", b"[]", marks=pytest.mark.fuzz),
    ],
)
def test_what_one_answer_alone_says_is_read_again_the_next_night(site, content, body):
    small(site, "longitudinal")
    site.simulator.faults.add("answer", content=content, times=1, body=body, content_type="application/json", nth=1)
    site.load()
    assert reads_whole(night(site))
    assert not reads_whole(night(site))


def test_another_token_or_another_entry_in_projects_yaml_reads_it_all(site):
    handle = loaded(site)
    site.monkeypatch.setenv("TOKEN_STUDY", handle.add_user("other", token="A" * 32))
    night(site)
    assert not reads_whole(night(site))
    site.handles["study"] = replace(handle, token="A" * 32)
    site.monkeypatch.setenv("TOKEN_STUDY", handle.token)
    assert reads_whole(night(site))


@contextmanager
def mirror(site: Site):
    """The project's mirror, for a test that changes what is in it."""
    with duckdb.connect(str(site.warehouse.mirror("study"))) as connection:
        yield connection


OTHERS = [
    "UPDATE state.known_structure SET key = 'another'",
    "DROP TABLE state.known_structure",
    # That a text which is no structure is none is shown in tests/warehouse/mirror, too.
    pytest.param("UPDATE state.known_structure SET content = content[:100]", marks=pytest.mark.fuzz),
]


@pytest.mark.parametrize("stored", OTHERS)
def test_what_another_version_of_the_program_stored_is_not_used(site, stored):
    loaded(site)
    with mirror(site) as connection:
        connection.execute(stored)
    assert reads_whole(night(site))
    assert not reads_whole(night(site))


def test_the_token_is_nowhere_in_the_mirror(site):
    handle = loaded(site)
    assert handle.token.encode() not in site.warehouse.mirror("study").read_bytes()


def test_a_server_that_was_restored_from_a_backup_has_forgotten_the_last_load(site):
    handle = loaded(site, "longitudinal")
    before, rows = dict(handle.project.mapping), len(handle.project.log.rows)
    handle.designate(handle.project.events[0].unique_name, handle.project.dictionary.forms[:1])
    assert reads_whole(night(site))
    handle.project.mapping = before
    del handle.project.log.rows[rows:]
    assert reads_whole(night(site))


def test_a_load_that_failed_after_the_structure_changed_hides_nothing(site):
    handle = loaded(site, "longitudinal")
    handle.rename_instrument(handle.project.dictionary.forms[1], "another_name")
    handle.save("1", {"age": "42"})
    for content, nth in (("record", 1), ("log", 1), ("record", 4)):
        site.simulator.clock.advance(hours=24)
        site.simulator.faults.add("500", content=content, nth=nth, times=None)
        with suppress(RedcapError):
            site.load()
        site.simulator.faults.clear()
    night(site)
    assert not reads_whole(night(site))


def test_clocks_that_disagree_prove_nothing(site):
    loaded(site)
    site.clock_off = timedelta(hours=3)
    asked = night(site)
    assert reads_whole(asked)
    # It is not even tried to do without.
    assert asked.count("metadata") == 1


def test_an_event_that_was_deleted_without_a_word_is_noticed_by_its_refusal(site):
    handle = loaded(site, "longitudinal")
    with mirror(site) as connection:
        # As in a large project, of which a census of a few events is requested.
        name = handle.project.events[0].unique_name
        connection.execute("INSERT INTO state.cover VALUES (?)", [name])
        connection.execute("UPDATE state.census SET briefly = seen")
    unlogged(handle).rename_event(name, "Another event")
    asked = night(site)
    assert reads_whole(asked)
