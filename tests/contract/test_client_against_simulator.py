"""The client against the simulated REDCap, which shares no code with it: every reading call on every kind of study."""

import csv

import pytest

from redcap_source import RedcapClient, RetryPolicy, Token, dictionary, errors
from redcap_source.simulator import Simulator, make_study

KINDS = ("classic", "longitudinal", "repeating")


@pytest.fixture(scope="module")
def simulator():
    with Simulator() as simulator:
        for kind in KINDS:
            simulator.add_project(make_study(kind, records=12), name=kind)
        yield simulator


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def client(simulator, kind):
    simulator.faults.clear()
    token = Token(simulator.projects[kind].token)
    policy = RetryPolicy(attempts=4)
    with RedcapClient(simulator.url, token, project=kind, retry=policy, sleep=lambda _: None) as client:
        yield client
    simulator.faults.clear()


def test_the_structure_hangs_together(client, kind):
    info = client.project_info()
    fields = client.data_dictionary()
    names = client.export_field_names()
    instruments = [instrument.instrument_name for instrument in client.instruments()]
    assert info.is_longitudinal == (kind != "classic")
    assert dictionary.instrument_names(fields) == instruments
    assert {name.original_field_name for name in names} <= {field.field_name for field in fields} | {
        dictionary.complete_column(instrument) for instrument in instruments
    }
    events = {event.unique_event_name for event in client.events()}
    assert {row.unique_event_name for row in client.form_event_mapping()} <= events
    assert {arm.arm_num for arm in client.arms()} == {event.arm_num for event in client.events()}
    assert bool(events) == bool(info.is_longitudinal)
    repeating = client.repeating_forms_events()
    assert bool(repeating) == bool(info.has_repeating_instruments_or_events)
    assert {row.form_name for row in repeating} - {""} <= set(instruments)


def test_users_roles_and_groups_refer_to_one_another(client):
    users = {user.username: user for user in client.users()}
    groups = {group.unique_group_name for group in client.data_access_groups()}
    roles = {role.unique_role_name for role in client.user_roles()}
    assert {row.username for row in client.user_role_assignments()} == set(users)
    assert {row.unique_role_name for row in client.user_role_assignments()} <= roles | {""}
    assert {row.redcap_data_access_group for row in client.data_access_group_assignments()} <= groups | {""}
    instruments = {instrument.instrument_name for instrument in client.instruments()}
    for user in users.values():
        assert set(user.forms or {}) == instruments
        assert user.rights["api_export"] in (0, 1)


def test_a_flat_export_has_the_expected_columns(client, tmp_path):
    info = client.project_info()
    fields, names = client.data_dictionary(), client.export_field_names()
    client.export_records_to(tmp_path / "records.csv", export_data_access_groups=True)
    with (tmp_path / "records.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header == dictionary.expected_columns(
        fields,
        names,
        longitudinal=bool(info.is_longitudinal),
        repeating=bool(info.has_repeating_instruments_or_events),
        data_access_groups="redcap_data_access_group" in header,
        missing_codes=dictionary.missing_data_codes(info.missing_data_codes),
    )


def test_records_agree_in_every_format(client, tmp_path):
    import json

    id_field = dictionary.record_id_field(client.data_dictionary())
    ids = client.record_ids(id_field)
    frame = client.export_records()
    assert list(dict.fromkeys(frame[id_field])) == ids
    client.export_records_to(tmp_path / "a.json", format="json")
    rows = json.loads((tmp_path / "a.json").read_text())
    assert [{key: str(value) for key, value in row.items()} for row in rows] == frame.to_dict("records")
    for format_ in ("xml",):
        assert client.export_records_to(tmp_path / "a.xml", format=format_).bytes > 0
    eav = client.export_records(type="eav", records=ids[:2])
    assert set(eav["record"]) == set(ids[:2])


def test_chunks_are_the_whole(client):
    import pandas as pd

    whole = client.export_records()
    chunks = list(client.iter_records(5))
    assert len(chunks) == 3
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)


def test_records_are_typed_by_the_dictionary(client):
    frame = client.export_records()
    typed = client.type_records(frame)
    assert typed.frame.shape == frame.shape
    # What does not fit is counted, everything else is there: nothing is lost in silence.
    for misfit in typed.misfits:
        assert misfit.count == len(misfit.values)
    for column in frame.columns:
        lost = (typed.frame[column].isna() & (frame[column] != "")).sum()
        assert lost == sum(misfit.count for misfit in typed.misfits if misfit.column == column)


def test_the_log_is_newest_first(client):
    rows = client.log()
    assert [row.timestamp for row in rows] == sorted((row.timestamp for row in rows), reverse=True)
    assert {row.record for row in client.log(logtype="record") if row.record}


def test_the_outline_answers_short_questions(client, kind):
    outline = client.outline()
    assert outline.def_field == outline.field_names[0]
    assert outline.metadata_type(outline.def_field) == "text"
    assert outline.names_labels[outline.def_field] == outline.field_labels[0]
    assert outline.is_longitudinal == (kind != "classic")
    assert len(outline.arm_nums) == len(outline.arm_names) == len(client.arms())
    assert outline.forms == tuple(instrument.instrument_name for instrument in client.instruments())


TRANSIENT = {
    "500": errors.ServerOverloaded,
    "502": errors.ServerOverloaded,
    "503": errors.ServerOverloaded,
    "504": errors.ServerOverloaded,
    "reset": (errors.Truncated, errors.Unreachable),
    "truncate": errors.Truncated,
    "html": errors.NotRedcap,
    "empty": errors.EmptyAnswer,
    "memory": errors.TooLarge,
    "php_warning": errors.UnexpectedAnswer,
    "ban": errors.Banned,
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_every_fault_is_one_clear_error(simulator, fault):
    token = Token(simulator.projects["classic"].token)
    simulator.faults.clear()
    try:
        simulator.faults.add(fault, times=1)
        client = RedcapClient(simulator.url, token, retry=RetryPolicy(attempts=1))
        with client, pytest.raises(TRANSIENT[fault]):
            client.record_ids("record_id")
    finally:
        simulator.faults.clear()
        simulator.faults.reset_ban()


@pytest.mark.parametrize("fault", [name for name in TRANSIENT if name not in ("memory", "php_warning", "ban")])
@pytest.mark.parametrize("format_", ["csv", "json"])
def test_transient_faults_are_recovered_from(simulator, tmp_path, fault, format_):
    handle = simulator.projects["classic"]
    with RedcapClient(simulator.url, Token(handle.token), sleep=lambda _: None) as client:
        client.export_records_to(tmp_path / "good", format=format_)
        simulator.faults.add(fault, content="record", times=1)
        received = client.export_records_to(tmp_path / "after", format=format_)
    simulator.faults.clear()
    if not (fault == "empty" and format_ == "csv"):
        assert (tmp_path / "after").read_bytes() == (tmp_path / "good").read_bytes()
        assert received.attempts == 2


def test_a_user_without_a_right_is_reported_which_call(simulator):
    handle = simulator.projects["classic"]
    handle.set_rights(logging=0)
    try:
        client = RedcapClient(simulator.url, Token(handle.token), project="classic")
        with client, pytest.raises(errors.MissingRight, match="classic: log export"):
            client.log()
    finally:
        handle.set_rights(logging=1)


def test_a_wrong_token_is_refused(simulator):
    with RedcapClient(simulator.url, Token("F" * 32)) as client, pytest.raises(errors.TokenRefused):
        client.version()


def test_the_wrong_path_is_reported(simulator):
    url = simulator.url.rstrip("/") + "/nothing/here/"
    with RedcapClient(url, Token("F" * 32)) as client, pytest.raises((errors.WrongUrl, errors.TokenRefused)):
        client.version()


def test_surveys_have_links_codes_and_participants(simulator):
    with RedcapClient(simulator.url, Token(simulator.projects["repeating"].token)) as client:
        outline = client.outline()
        record = client.record_ids(outline.def_field)[0]
        surveys = []
        for row in client.form_event_mapping():
            try:
                link = client.survey_link(record, row.form, row.unique_event_name)
            except errors.RequestRefused:
                continue  # not a survey
            surveys.append(row)
            assert link.startswith("http")
            assert len(client.survey_access_code(record, row.form, row.unique_event_name)) == 9
            assert client.participant_list(row.form, row.unique_event_name) is not None
        assert surveys
