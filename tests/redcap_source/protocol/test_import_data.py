import json
from datetime import date, datetime
from decimal import Decimal

import pandas as pd
import pytest

from redcap_source import model
from redcap_source.protocol.import_data import data_text


def rows(data):
    return json.loads(data_text(data))


def test_text_is_passed_on_as_it_is():
    assert data_text("record_id,age\n1,41\n") == "record_id,age\n1,41\n"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("01", "01"),
        ("", ""),
        (True, "1"),
        (False, "0"),
        (7, "7"),
        (22.0, "22.0"),
        (Decimal("1.50"), "1.50"),
        (date(2024, 5, 1), "2024-05-01"),
    ],
)
def test_cells_are_spelt_as_redcap_spells_them(value, sent):
    assert rows([{"a": value}]) == [{"a": sent}]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_what_is_missing_is_left_out_because_a_blank_can_erase(missing):
    assert rows([{"record_id": "1", "a": missing}]) == [{"record_id": "1"}]


@pytest.mark.parametrize("value", [datetime(2024, 5, 1), pd.Timestamp("2024-05-01"), b"x", object(), [1]])
def test_what_has_no_plain_spelling_is_refused_without_quoting_it(value):
    with pytest.raises(TypeError, match="Column a has a") as caught:
        data_text([{"a": value}])
    assert "2024" not in str(caught.value)


def test_one_row_is_not_a_list_of_rows():
    with pytest.raises(TypeError, match="put a single row in a list"):
        data_text({"record_id": "1"})


def test_a_frame_goes_row_by_row_with_its_named_index():
    frame = pd.DataFrame({"record_id": ["1", "2"], "age": [41, None], "ok": [True, False]}).set_index("record_id")
    assert rows(frame) == [{"record_id": "1", "age": "41.0", "ok": "1"}, {"record_id": "2", "ok": "0"}]


def test_a_frame_with_two_columns_of_a_name_is_refused():
    with pytest.raises(ValueError, match="same name"):
        data_text(pd.DataFrame([["1", "2"]], columns=["a", "a"]))


def test_values_of_the_model_go_as_the_rows_they_came_from():
    row = {"username": "ann", "forms": {"visit": 1}, "design": 0, "new_in_20": "x"}
    assert rows([model.User.from_row(row)]) == [
        {"username": "ann", "forms": {"visit": 1}, "design": "0", "new_in_20": "x"}
    ]
    field = {"field_name": "a", "form_name": "b", "field_type": "text"}
    assert set(rows([model.Field.from_row(field)])[0]) == set(model.DICTIONARY_COLUMNS)
