"""An answer counts only once it has been shown to be whole."""

import json

import pytest

from pipelines.errors import VerificationFailed
from pipelines.warehouse.staging.answers import Answer
from pipelines.warehouse.staging.split_json import split_json
from pipelines.warehouse.staging.staging_sql import csv_source
from pipelines.warehouse.staging.verify import open_verifier, verify

CLASSIC = ("record_id", "age", "notes")
EVENTS = ("record_id", "redcap_event_name", "age")
CANARY = "canary-7731"


def verified(tmp_path, body, asked, columns=CLASSIC, form="csv"):
    path = tmp_path / f"answer.{form}"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    with open_verifier(tmp_path) as verifier:
        return verify(verifier, Answer(path, form, columns), asked)


def test_every_record_but_the_last_of_a_csv_is_proven(tmp_path):
    proof = verified(tmp_path, "record_id,age,notes\n1,40,x\n2,,\n10,7,y\n", ("1", "2", "10"))
    assert (proof.records, proof.unverified, proof.rows) == (("1", "2"), "10", 2)


def test_a_json_list_proves_its_last_record_too(tmp_path):
    body = '[{"record_id":"1","age":"40","notes":""},{"record_id":"2","age":"","notes":"\\u00e9"}]'
    proof = verified(tmp_path, body, ("1", "2"), form="json")
    assert (proof.records, proof.unverified, proof.rows) == (("1", "2"), None, 2)


def test_a_very_wide_json_list_is_read_by_its_keys_alone(tmp_path):
    columns = ("record_id", *(f"field_{number}" for number in range(20_000)))
    body = json.dumps([dict.fromkeys(columns, "") | {"record_id": record} for record in ("1", "2")])
    proof = verified(tmp_path, body, ("1", "2"), columns, form="json")
    assert (proof.records, proof.rows) == (("1", "2"), 2)


@pytest.mark.parametrize(("form", "body"), [("csv", ""), ("csv", "\n"), ("json", "[]")])
def test_an_answer_without_rows_proves_nothing(tmp_path, form, body):
    proof = verified(tmp_path, body, ("1",), form=form)
    assert (proof.records, proof.unverified, proof.rows) == ((), None, 0)


WHOLE = f'record_id,redcap_event_name,age\n1,a,"{CANARY}\nsecond line"\n1,b,2\n2,a,3\n2,b,"4 ""x"""\n3,a,5\n3,b,6\n'


def test_a_csv_cut_anywhere_never_proves_a_record_it_lost_rows_of(tmp_path):
    rows, proven = {"1": 2, "2": 2, "3": 2}, 0
    answer = Answer(tmp_path / "answer.csv", "csv", EVENTS)
    with open_verifier(tmp_path) as verifier:
        for cut in range(1, len(WHOLE)):
            answer.path.write_text(WHOLE[:cut])
            try:
                proof = verify(verifier, answer, tuple(rows))
            except VerificationFailed as refused:
                assert CANARY not in str(refused), f"cut at {cut}"
                continue
            assert proof.rows == sum(rows[record] for record in proof.records), f"cut at {cut}"
            assert proof.unverified not in proof.records, f"cut at {cut}"
            proven = max(proven, len(proof.records))
    assert proven == 2


JSON = f'[{{"record_id":"1","age":"{CANARY}","notes":"a]"}},{{"record_id":"2","age":"[1]","notes":""}}]'


def test_a_json_answer_cut_anywhere_is_refused(tmp_path):
    answer = Answer(tmp_path / "answer.json", "json", CLASSIC)
    with open_verifier(tmp_path) as verifier:
        for cut in range(1, len(JSON)):
            answer.path.write_text(JSON[:cut])
            try:
                proof = verify(verifier, answer, ("1", "2"))
            except VerificationFailed as refused:
                assert CANARY not in str(refused), f"cut at {cut}"
            else:
                pytest.fail(f"cut at {cut}, it proved {len(proof.records)} records")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("record_id,age\n1,40\n2,41\n", "columns are missing: notes"),
        ("record_id,age,notes,extra\n1,40,x,y\n", "columns are unexpected: extra"),
        ("record_id,notes,age\n1,x,40\n", "another order"),
        ("record_id,age,notes\n1,40,x\n9,41,y\n", "it has 1 record that was not requested"),
        ("record_id,age,notes\n1,40,x\n2,41,y\n1,40,z\n", "are not consecutive"),
        ("record_id,age,notes\n1,40,x\n1,40,x\n2,1,y\n", "1 row occurs twice"),
        ("record_id,age,notes\n1,40,x,y\n2,1,y\n", "rows of 3 columns"),
        ("record_id,age,notes\n,40,x\n2,1,y\n", "no record id"),
        (b"record_id,age,notes\n1,\xe7\xff,x\n2,1,y\n", "not UTF-8"),
        ("<b>Warning</b>: mysqli\nrecord_id,age,notes\n1,40,x\n", "columns"),
    ],
)
def test_an_answer_that_does_not_add_up_is_refused(tmp_path, body, reason):
    with pytest.raises(VerificationFailed, match=reason):
        verified(tmp_path, body, ("1", "2"))


def test_a_json_row_with_other_columns_is_refused(tmp_path):
    body = '[{"record_id":"1","age":"40","notes":""},{"record_id":"2","age":""}]'
    with pytest.raises(VerificationFailed, match="1 of its rows have other columns"):
        verified(tmp_path, body, ("1", "2"), form="json")


def test_the_prover_reads_nothing_outside_the_staging_folder(tmp_path):
    outside = tmp_path / "outside"
    staging = tmp_path / "staging"
    outside.mkdir()
    staging.mkdir()
    (outside / "a.csv").write_text("record_id,age,notes\n1,1,1\n")
    with open_verifier(staging) as verifier, pytest.raises(VerificationFailed):
        verify(verifier, Answer(outside / "a.csv", "csv", CLASSIC), ("1",))


AWKWARD = [
    "plain",
    "",
    " led by a space",
    'a "quote"',
    "a, comma",
    "two\nlines",
    "two\r\nlines",
    "\rbare\r",
    "\\",
    '"',
    "é 日本",
    "0",
]


def test_a_proven_json_answer_written_as_csvs_holds_what_it_held(tmp_path):
    columns = ("record_id", "redcap_repeat_instance", *(f"field_{at}" for at in range(len(AWKWARD))))
    body = json.dumps([dict(zip(columns, [record, 2, *AWKWARD], strict=True)) for record in ("1", "2")])
    (tmp_path / "answer.json").write_text(body)
    answer = Answer(tmp_path / "answer.json", "json", columns)
    parts = [Answer(tmp_path / f"{at}.csv", "csv", columns[:1] + columns[at:]) for at in (1, 4)]
    split_json(answer, parts)
    held = ["2", *(text or None for text in AWKWARD)]
    with open_verifier(tmp_path) as verifier:
        for part, cells in zip(parts, (held, held[3:]), strict=True):
            found = verifier.execute(f"FROM {csv_source(part)}").fetchall()
            assert [list(row) for row in found] == [[record, *cells] for record in ("1", "2")]
            assert part.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "value", ["[1]", "true", "{}", '"\\ud800"'], ids=["list", "boolean", "object", "half a character"]
)
def test_a_value_of_no_one_spelling_is_refused_without_quoting_anything(tmp_path, value):
    (tmp_path / "answer.json").write_text(f'[{{"record_id":"{CANARY}","age":{value}}}]')
    answer = Answer(tmp_path / "answer.json", "json", ("record_id", "age"))
    with pytest.raises(VerificationFailed) as refused:
        split_json(answer, [Answer(tmp_path / "part.csv", "csv", answer.columns)])
    assert CANARY not in str(refused.value)
