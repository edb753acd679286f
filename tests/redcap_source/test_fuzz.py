"""Whatever a server sends, a call returns a value or raises one of our errors, and writes nothing outside its folder.

`FUZZ_EXAMPLES=100000 pytest tests/redcap_source/test_fuzz.py` looks longer.
"""

import contextlib
import gzip
import json
import os
import tempfile
import unicodedata
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redcap_source import RedcapClient, RetryPolicy, Token, errors, model
from redcap_source.dictionary import ValueKind, checkbox_column, parse_choices
from redcap_source.errors import RequestContext
from redcap_source.frames.typed_values import value_of
from redcap_source.http import downloads
from redcap_source.http.sinks import MEMORY_LIMIT
from redcap_source.protocol.error_texts import rejected_cells
from redcap_source.protocol.json_stream import JsonRows
from redcap_source.protocol.parsing import rows_of
from redcap_source.protocol.redaction import redact
from redcap_source.protocol.request import Request
from tests.support.canned import SECRET

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))


def fuzz(test):
    """Many examples, for `make fuzz`."""
    unhealthy = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    many = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=unhealthy)
    return pytest.mark.fuzz(many(test))


ROW = [{"record_id": "1"}]
# Every public method, so that no way of reading an answer is left out.
CALLS = {
    "version": lambda client, folder: client.version(),
    "project_info": lambda client, folder: client.project_info(),
    "data_dictionary": lambda client, folder: client.data_dictionary(),
    "export_field_names": lambda client, folder: client.export_field_names(),
    "instruments": lambda client, folder: client.instruments(),
    "arms": lambda client, folder: client.arms(),
    "events": lambda client, folder: client.events(),
    "form_event_mapping": lambda client, folder: client.form_event_mapping(),
    "repeating_forms_events": lambda client, folder: client.repeating_forms_events(),
    "outline": lambda client, folder: client.outline(),
    "users": lambda client, folder: client.users(),
    "user_roles": lambda client, folder: client.user_roles(),
    "user_role_assignments": lambda client, folder: client.user_role_assignments(),
    "data_access_groups": lambda client, folder: client.data_access_groups(),
    "data_access_group_assignments": lambda client, folder: client.data_access_group_assignments(),
    "log": lambda client, folder: client.log(),
    "read_log": lambda client, folder: client.read_log(lambda: lambda row: None),
    "record_ids": lambda client, folder: client.record_ids("record_id"),
    "export_records": lambda client, folder: client.export_records(),
    "export_records eav": lambda client, folder: client.export_records(type="eav"),
    "export_records_to csv": lambda client, folder: client.export_records_to(folder / "records"),
    "export_records_to json": lambda client, folder: client.export_records_to(folder / "records", format="json"),
    "export_records_to xml": lambda client, folder: client.export_records_to(folder / "records", format="xml"),
    "export_records_to odm": lambda client, folder: client.export_records_to(folder / "records", format="odm"),
    "iter_records": lambda client, folder: list(client.iter_records(2, records=["1", "2", "3"], record_id_field="id")),
    "type_records": lambda client, folder: client.type_records(client.export_records()),
    "next_record_name": lambda client, folder: client.next_record_name(),
    "export_report": lambda client, folder: client.export_report(1),
    "export_report_to": lambda client, folder: client.export_report_to(folder / "records", 1, format="json"),
    "export_file": lambda client, folder: client.export_file("1", "scan", folder),
    "export_repository_file": lambda client, folder: client.export_repository_file(1, folder),
    "file_repository": lambda client, folder: client.file_repository(),
    "export_instruments_pdf": lambda client, folder: client.export_instruments_pdf(folder / "records"),
    "export_project_xml": lambda client, folder: client.export_project_xml(folder / "records"),
    "survey_link": lambda client, folder: client.survey_link("1", "visit"),
    "survey_access_code": lambda client, folder: client.survey_access_code("1", "visit"),
    "survey_return_code": lambda client, folder: client.survey_return_code("1", "visit"),
    "survey_queue_link": lambda client, folder: client.survey_queue_link("1"),
    "participant_list": lambda client, folder: client.participant_list("visit"),
    "import_records": lambda client, folder: client.import_records(ROW),
    "import_records ids": lambda client, folder: client.import_records(ROW, return_content="ids"),
    "import_records auto_ids": lambda client, folder: client.import_records(ROW, return_content="auto_ids"),
    "import_records nothing": lambda client, folder: client.import_records(ROW, return_content="nothing"),
    "import_records background": lambda client, folder: client.import_records(ROW, background=True),
    "delete_records": lambda client, folder: client.delete_records(["1"]),
    "rename_record": lambda client, folder: client.rename_record("1", "2"),
    "randomize_record": lambda client, folder: client.randomize_record("1", 1),
    "import_data_dictionary": lambda client, folder: client.import_data_dictionary(ROW),
    "import_arms": lambda client, folder: client.import_arms(ROW),
    "delete_arms": lambda client, folder: client.delete_arms([1]),
    "import_events": lambda client, folder: client.import_events(ROW),
    "delete_events": lambda client, folder: client.delete_events(["a_arm_1"]),
    "import_form_event_mapping": lambda client, folder: client.import_form_event_mapping(ROW),
    "import_repeating_forms_events": lambda client, folder: client.import_repeating_forms_events(ROW),
    "import_users": lambda client, folder: client.import_users(ROW),
    "delete_users": lambda client, folder: client.delete_users(["ann"]),
    "import_user_roles": lambda client, folder: client.import_user_roles(ROW),
    "delete_user_roles": lambda client, folder: client.delete_user_roles(["U-1"]),
    "import_user_role_assignments": lambda client, folder: client.import_user_role_assignments(ROW),
    "import_data_access_groups": lambda client, folder: client.import_data_access_groups(ROW),
    "delete_data_access_groups": lambda client, folder: client.delete_data_access_groups(["a"]),
    "import_data_access_group_assignments": lambda client, folder: client.import_data_access_group_assignments(ROW),
    "switch_data_access_group": lambda client, folder: client.switch_data_access_group("a"),
    "import_file": lambda client, folder: client.import_file("1", "scan", Path(__file__)),
    "delete_file": lambda client, folder: client.delete_file("1", "scan"),
    "create_repository_folder": lambda client, folder: client.create_repository_folder("docs"),
    "import_repository_file": lambda client, folder: client.import_repository_file(Path(__file__)),
    "delete_repository_file": lambda client, folder: client.delete_repository_file(1),
    "import_project_settings": lambda client, folder: client.import_project_settings({"purpose": 0}),
    "create_project": lambda client, folder: client.create_project("New", 0),
}


def test_every_method_is_among_the_calls():
    methods = {name for name in dir(RedcapClient) if not name.startswith("_")}
    assert methods - {call.split()[0] for call in CALLS} == {
        "show",
        "close",
        "calls",
        "server_date",
        "token_fingerprint",
    }


class Pieces(httpx.SyncByteStream):
    def __init__(self, pieces):
        self._pieces = pieces

    def __iter__(self):
        yield from self._pieces


def asked(call, pieces, status=200, headers=()):
    """One call against an answer of these pieces: its value or error, and the content of its folder after it."""
    transport = httpx.MockTransport(
        lambda request: httpx.Response(status, headers=list(headers), stream=Pieces(pieces))
    )
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "folder"
        folder.mkdir()
        client = RedcapClient(
            "http://127.0.0.1/api/", Token(SECRET), project="p", transport=transport, retry=RetryPolicy(attempts=1)
        )
        with client:
            try:
                result = CALLS[call](client, folder)
            except errors.RedcapError as error:
                result = error
        assert [path.name for path in Path(above).iterdir()] == ["folder"]
        left = [path.read_bytes() for path in folder.iterdir()]
    return result, left


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = ["record_id", "error", "count", "field_name", "form_name", "field_type", "username", "arm_num", "timestamp"]
rows = st.lists(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), json_values, max_size=6), max_size=4)
# Records are flat: a cell is text, or a whole number.
flat_rows = st.lists(
    st.dictionaries(st.sampled_from(KEYS), st.text('[]{}",\\:ab ', max_size=9) | st.integers()), max_size=4
)
bodies = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    json_values.map(lambda value: json.dumps(value).encode()),
    rows.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([
        b"<!DOCTYPE html><title>x</title>", b"ERROR: no", b'{"error":"no"}', b'{"error":{"a":1}}', b"\xef\xbb\xbf[]",
        b"record_id\n1\n", b'record_id,a\n1,"', b"%PDF-1.7 %%EOF", b"<records></records>", b"\x00", b"[[[[", b"1",
        b'[{"record_id":1e999}]', b'[{"record_id":' + b"9" * 5000 + b"}]", b'"\\ud800"', b"NaN", b"{}", b"[null]",
        b"[" * 200_000, b'[{"a":' * 60_000, b'{"a":' * 60_000,
    ]),
)  # fmt: skip
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
header_lists = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "content-disposition", "date", "retry-after", "location"]), header_values
    ),
    max_size=3,
).map(lambda pairs: [(name.encode(), value.encode("latin-1")) for name, value in pairs])


@fuzz
@given(
    call=st.sampled_from(sorted(CALLS)),
    status=st.sampled_from([200, 200, 200, 200, 204, 301, 400, 401, 403, 404, 413, 429, 500, 503]),
    body=bodies,
    cut=st.integers(0, 200),
    headers=header_lists,
    packed=st.booleans(),
)
def test_any_answer_ends_in_a_value_or_in_one_of_our_errors(call, status, body, cut, headers, packed):
    if packed:
        body, headers = gzip.compress(body), [*headers, (b"content-encoding", b"gzip")]
    result, left = asked(call, [body[:cut], body[cut:]], status, headers)
    if isinstance(result, errors.RedcapError):
        assert left == []
        assert SECRET not in str(result)
        assert result.__context__ is None


@fuzz
@given(value=flat_rows, cut=st.integers(0, 10_000))
@example(value=[{"a": "[not completed]"}], cut=38)
@example(value=[{"a": "}]"}], cut=26)
def test_a_json_answer_cut_anywhere_is_never_taken_for_whole(value, cut):
    body = json.dumps([{"record_id": "1", **row} for row in value]).encode()
    cut %= len(body)
    result, left = asked("export_records_to json", [body[:cut]])
    assert isinstance(result, errors.RedcapError)
    assert left == []
    result, _ = asked("record_ids", [body[:cut]])
    assert isinstance(result, errors.RedcapError)


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12)


@fuzz
@given(table=st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=6), cut=st.integers(0, 10_000))
def test_a_csv_answer_cut_inside_a_row_is_never_taken_for_whole(table, cut):
    lines = [b"record_id,note\n", *(_csv_line(row) for row in table)]
    body = b"".join(lines)
    ends = {sum(map(len, lines[:number])) for number in range(len(lines) + 1)}
    cut %= len(body)
    result, left = asked("export_records_to csv", [body[:cut]])
    if isinstance(result, errors.RedcapError):
        assert left == []
    else:
        # Only a cut between two rows passes, which is why the ids asked for are counted.
        assert cut in ends
    whole, _ = asked("export_records", [body])
    assert whole.to_numpy().tolist() == table


def _csv_line(row):
    quoted = [
        '"' + cell.replace('"', '""') + '"' if set(cell) & set(', "\n\t') or not cell.isprintable() else cell
        for cell in row
    ]
    return (",".join(quoted) + "\n").encode()


@fuzz
@given(value=rows, sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5), ascii_only=st.booleans())
def test_rows_read_in_pieces_are_the_rows_read_at_once(value, sizes, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "replace")
    read = []
    sink = JsonRows(read.append, RequestContext(), MEMORY_LIMIT)
    at, turn = 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        sink.write(body[at : at + size])
        at, turn = at + size, turn + 1
    sink.finish()
    assert json.dumps(read) == json.dumps(rows_of(body, RequestContext()))


@fuzz
@given(name=st.text(max_size=300))
@example("../" * 50 + "x")
@example("\u202e\u0000")
@example("CON.txt" + "." * 300)
def test_a_safe_name_is_one_name_in_one_folder(name):
    safe = downloads.safe_name(name)
    assert safe not in ("", ".", "..")
    assert not set(safe) & set('/\\\x00<>:"|?*')
    assert not [character for character in safe if unicodedata.category(character).startswith("C")]
    assert len(safe.encode()) <= 255
    assert (Path("/a/b") / safe).parent == Path("/a/b")
    assert downloads.safe_name(safe) == safe


@fuzz
@given(name=header_values, body=st.binary(max_size=50))
def test_a_download_lands_in_its_folder_whatever_it_is_called(name, body):
    result, left = asked("export_file", [body], headers=[(b"content-type", f'x/y; name="{name}"'.encode("latin-1"))])
    if not isinstance(result, errors.RedcapError):
        assert left == [body]


@fuzz
@given(
    value=st.text(st.characters(categories=["L", "N", "P"]), min_size=4, max_size=12),
    quote=st.sampled_from(["'", '"', ""]),
)
def test_a_sentence_never_repeats_a_record_that_was_asked_for(value, quote):
    request = Request("record", parameters={"records": [value]})
    said = redact(f"The record {quote}{value}{quote} does not exist. Not {value}, either", request)
    assert value not in said or value in "The record '…' does not exist. Not …, either"


@fuzz
@given(st.text(max_size=100))
def test_text_never_breaks_what_reads_it(text):
    rejected_cells(text)
    for choice in parse_choices(text):
        assert checkbox_column("f", choice.code).startswith("f___")
    for kind in ValueKind:
        with contextlib.suppress(ValueError):
            value_of(kind, text)
    model.flag(text), model.whole(text), model.per_form(text)
