"""What REDCap refuses as a data dictionary is refused here, by row, column and rule; --lenient leaves the rows out."""

import io
import json
import signal

import pytest

from redcap_source.simulator import SimulatorError, load_project
from redcap_source.simulator.serve import serve

HEADERS = (
    "Variable / Field Name,Form Name,Section Header,Field Type,Field Label,"
    '"Choices, Calculations, OR Slider Labels",Field Note\n'
)
GOOD = ["id,a,,text,Id,,", 'sex,a,,radio,Sex,"1, F | 2, M",', "age,a,,text,Age,,"]
CHOICES = "Choices, Calculations, OR Slider Labels"
NAME, TYPE, FORM = "Variable / Field Name", "Field Type", "Form Name"
BAD = [
    ("age,a,,text,Again,,", NAME, "'age' is used twice, first in row 4"),
    ("age ,b,,text,Again,,", NAME, "'age' is used twice, first in row 4"),
    (",a,,text,Nameless,,", NAME, "no field name"),
    ("2nd,a,,text,x,,", NAME, "'2nd' is not a field name"),
    ("_x,a,,text,x,,", NAME, "'_x' is not a field name"),
    ("two words,a,,text,x,,", NAME, "'two words' is not a field name"),
    ("größe,a,,text,x,,", NAME, "'größe' is not a field name"),
    ("redcap_event_name,a,,text,x,,", NAME, "uses itself"),
    ("a_complete,a,,text,x,,", NAME, "uses itself"),
    ("x,,,text,x,,", FORM, "no instrument"),
    ("x,a,,texty,x,,", TYPE, "'texty' is not a field type; there are calc, checkbox"),
    ("x,a,,,x,,", TYPE, "'' is not a field type"),
    ("x,a,,radio,x,,", CHOICES, "no choices; a radio field"),
    ("x,a,,dropdown,x, | ,", CHOICES, "no choices; a dropdown field"),
    ("x,a,,checkbox,x,,", CHOICES, "no choices; a checkbox field"),
    ('x,a,,radio,x,"1, A | 2, B | 1, C",', CHOICES, "the code '1' is used twice"),
    ('x,a,,checkbox,x,"1, A |1, C",', CHOICES, "the code '1' is used twice"),
]
OTHERS_RIGHT = [
    'x,a,,radio,x,"a, A | A, B | 01, C | 1, D",', "x,a,,sql,x,,", "x,a,,slider,x,,", "x,a,,yesno,x,,", "x,a,,calc,x,,",
    "X9,a,,text,x,,", "x__y_,a,,text,x,,", "b_complete,a,,text,x,,",
]  # fmt: skip


def dictionary(folder, *rows, name="study.csv"):
    (folder / name).write_text(HEADERS + "\n".join((*GOOD, *rows)) + "\n", encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(("row", "column", "rule"), BAD, ids=[f"{row[0]}: {row[2]}" for row in BAD])
def test_what_redcap_refuses_is_refused_with_row_column_and_rule(tmp_path, row, column, rule):
    path = dictionary(tmp_path, row, "last,a,,text,Last,,")
    with pytest.raises(SimulatorError) as caught:
        load_project(path)
    assert f"row 5, column '{column}'" in str(caught.value) and rule in str(caught.value)
    left_out: list[str] = []
    fields = load_project(path, left_out=left_out).dictionary.by_name
    assert list(fields) == ["id", "sex", "age", "last"]
    assert len(left_out) == 1 and left_out[0].startswith(f"{path}, row 5, column '{column}': ") and rule in left_out[0]


@pytest.mark.parametrize("row", OTHERS_RIGHT)
def test_what_redcap_takes_is_taken(tmp_path, row):
    left_out: list[str] = []
    assert len(load_project(dictionary(tmp_path, row), left_out=left_out).dictionary.fields) == 4
    assert left_out == []


def test_every_row_is_named_at_once_and_under_the_header_it_has(tmp_path):
    rows = [{"field_name": name, "form_name": "a", "field_type": "radio"} for name in ("id", "b c")]
    (tmp_path / "metadata.json").write_text(json.dumps([*rows, *[rows[1]] * 30]))
    with pytest.raises(SimulatorError) as caught:
        load_project(tmp_path)
    lines = str(caught.value).splitlines()
    assert "row 1, column 'select_choices_or_calculations'" in lines[1] and "row 2, column 'field_name'" in lines[2]
    assert lines[-2:] == ["  and 12 more", "Correct the file, or load what can be loaded with --lenient."]


def test_blank_lines_and_line_breaks_in_cells_do_not_shift_the_row_numbers(tmp_path):
    with pytest.raises(SimulatorError, match="row 7, column"):
        load_project(dictionary(tmp_path, 'x,a,,text,"two\nlines",,', ",,,,,,", "9,a,,text,x,,"))


def test_the_record_id_field_cannot_be_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("field_name,form_name,field_type\n1d,a,text\nage,a,text\n")
    with pytest.raises(SimulatorError, match="record id field, which every project needs"):
        load_project(tmp_path / "a.csv", left_out=[])


class Interrupting(io.StringIO):
    """Ends the serving as soon as the announcement is out."""

    def flush(self):
        super().flush()
        signal.raise_signal(signal.SIGINT)


def test_lenient_serves_what_can_be_loaded_and_lists_the_rest(tmp_path):
    path = dictionary(tmp_path, "2nd,a,,text,x,,")
    with pytest.raises(SimulatorError, match="--lenient"):
        serve([("study", path)], [], {}, None, 0, True, Interrupting())
    for as_json in (True, False):
        out = Interrupting()
        serve([("study", path)], [("other", "classic", 1)], {}, None, 0, as_json, out, lenient=True)
        assert out.getvalue().count("'2nd' is not a field name") == 1
    assert f"Left out of study: {path}, row 5, column" in out.getvalue()
