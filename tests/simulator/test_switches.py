"""Points on which live servers differ among themselves, and the switches that choose between them."""

import pytest

from redcap_source.simulator import Behaviour, Simulator
from redcap_source.simulator.state.project import Report, StoredFile
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic


def ask_of(simulator, project):
    return Asker(simulator.url, simulator.add_project(project, name="p"))


def eav(order):
    # Stored in this order: age after kg, the calculated field first of all, options from the last to the first.
    values = {"twice": "4", "kg": "2.0", "race___aa": "1", "race___1": "1", "age": "5", "note": "x"}
    with Simulator(behaviour=Behaviour(eav_order=order) if order else Behaviour()) as simulator:
        rows = ask_of(simulator, classic({"id": "1", **values})).csv(content="record", type="eav")
        return [f"{row['field_name']}={row['value']}" for row in rows]


CALCULATED_LAST = ["id=1", "age=5", "race=1", "race=Aa", "kg=2.0", "note=x", "twice=4"]


@pytest.mark.parametrize(
    ("order", "rows"),
    [
        (None, CALCULATED_LAST),
        ("calculated_last", CALCULATED_LAST),
        ("dictionary", ["id=1", "age=5", "race=1", "race=Aa", "kg=2.0", "twice=4", "note=x"]),
        ("name", ["id=1", "age=5", "kg=2.0", "note=x", "race=1", "race=Aa", "twice=4"]),
        ("stored", ["id=1", "twice=4", "kg=2.0", "race=Aa", "race=1", "age=5", "note=x"]),
    ],
)
def test_the_order_of_the_fields_of_a_record_in_eav(order, rows):
    assert eav(order) == rows


@pytest.mark.parametrize(("charset", "ending"), [(True, ";charset=UTF-8"), (False, "")])
def test_the_charset_behind_the_content_type_of_a_file(charset, ending):
    project = classic({"id": "1", "scan": "30"})
    project.files[30] = StoredFile("scan.txt", b"x", "text/plain")
    with Simulator(behaviour=Behaviour(file_charset=charset)) as simulator:
        ask = ask_of(simulator, project)
        _, _, headers = ask.raw(content="file", action="export", record="1", field="scan")
        assert headers["Content-Type"] == f'text/plain; name="scan.txt"{ending}'


@pytest.mark.parametrize(("crlf", "cell"), [("one_blank", "a b c"), ("two_blanks", "a  b c")])
def test_a_line_break_that_was_stored_as_crlf_in_a_report(crlf, cell):
    project = classic({"id": "1", "note": "a\r\nb\nc"})
    project.reports[1] = Report("Notes", ("id", "note"))
    with Simulator(behaviour=Behaviour(report_crlf=crlf)) as simulator:
        assert ask_of(simulator, project).csv(content="report", report_id=1)[0]["note"] == cell
