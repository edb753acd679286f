"""Labels instead of codes: what REDCap's label export shows, of typed and of verbatim values."""

import duckdb
import pytest

from pipelines.warehouse.tables.labels import create_label_macros, label_of_typed, label_of_verbatim
from pipelines.warehouse.tables.layout import Column
from redcap_source.dictionary import STATUS_CHOICES, Choice, ValueKind

REFUSED = (Choice("-99", "Refused"),)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as found:
        found.execute("CREATE SCHEMA _publish")
        found.execute(create_label_macros())
        yield found


def column(kind: ValueKind, choices=(), missing=()) -> Column:
    return Column("answer", "answer", kind, "Answer", choices, missing=missing)


def shown(connection, expression, value, as_type="VARCHAR"):
    return connection.execute(f"SELECT {expression} FROM (SELECT ?::{as_type} AS answer)", [value]).fetchone()[0]


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (ValueKind.CHECKBOX, ("Checked", "Unchecked")),
        (ValueKind.BOOLEAN_YESNO, ("Yes", "No")),
        (ValueKind.BOOLEAN_TRUEFALSE, ("True", "False")),
    ],
)
def test_yes_and_no_have_the_words_of_their_field_type_typed_or_verbatim(connection, kind, labels):
    typed, verbatim = label_of_typed(column(kind)), label_of_verbatim(column(kind))
    assert [shown(connection, typed, value, "BOOLEAN") for value in (True, False, None)] == [*labels, None]
    assert [shown(connection, verbatim, value) for value in ("1", "0", None, "7")] == [*labels, None, "7"]


def test_a_form_s_status_has_redcap_s_words(connection):
    status = label_of_typed(column(ValueKind.STATUS, STATUS_CHOICES))
    found = [shown(connection, status, value) for value in ("0", "1", "2", None, "9")]
    assert found == ["Incomplete", "Unverified", "Complete", None, "9"]


def test_codes_for_missing_data_have_their_labels_beside_the_words(connection):
    for kind, choices in ((ValueKind.STATUS, STATUS_CHOICES), (ValueKind.CHOICE, (Choice("1", "It's"),))):
        found = label_of_verbatim(column(kind, choices, REFUSED))
        assert shown(connection, found, "-99") == "Refused"
        assert shown(connection, found, "1") == ("Unverified" if kind is ValueKind.STATUS else "It's")
    assert shown(connection, label_of_verbatim(column(ValueKind.BOOLEAN_YESNO, (), REFUSED)), "1") == "Yes"


def test_text_without_choices_has_no_labels():
    assert label_of_typed(column(ValueKind.TEXT)) is None
    assert label_of_verbatim(column(ValueKind.TEXT)) is None
