"""Every answer of every kind of study can be parsed in the format it claims."""

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from redcap_source.simulator import STUDIES, Simulator, make_study
from redcap_source.simulator.api import router
from redcap_source.simulator.wire.parameters import Parameters

TEXTS = {"version", "generateNextRecordName", "surveyLink", "surveyQueueLink", "surveyReturnCode", "surveyAccessCode"}
OPTIONS = [
    {},
    {"type": "eav"},
    {"rawOrLabel": "label", "rawOrLabelHeaders": "label", "exportCheckboxLabel": "1", "exportSurveyFields": "1"},
    {"combineCheckboxOptions": "true", "decimalCharacter": ",", "exportDataAccessGroups": "true"},
]


def parses(body: str, form: str) -> bool:
    if form == "json":
        return json.loads(body) is not None
    if form == "csv":
        return len({len(row) for row in csv.reader(io.StringIO(body, newline=""))}) <= 1
    return ElementTree.fromstring(body) is not None


@pytest.mark.parametrize("kind", STUDIES)
@pytest.mark.parametrize("form", ["json", "csv", "xml"])
def test_answers_parse(kind, form):
    simulator = Simulator()
    handle = simulator.add_project(make_study(kind, records=8), name="study")
    handle.add_report(1, "All", [handle.project.dictionary.record_id])
    exports = [content for content, action in router.HANDLERS if action == "export"]
    for content in exports:
        for options in OPTIONS if content in ("record", "report") else OPTIONS[:1]:
            pairs = {"token": handle.token, "content": content, "format": form, "report_id": "1", **options}
            answer = router.answer(simulator._site, Parameters(pairs.items()))
            body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
            assert answer.status in (200, 400), (content, body)
            if content == "pdf":
                assert body.startswith(b"%PDF-")
            elif answer.status == 200 and content not in TEXTS:
                assert parses(body.decode(), "xml" if content == "project_xml" else form), content


@pytest.mark.parametrize(
    "value", ['"', "\\", "/", "\n", "\t", ",", "]]>", "<&>", "é", "血", "\U0001f9ea", "%s", "{}", " ", "\r\n"]
)
@pytest.mark.parametrize("form", ["json", "csv", "xml"])
@pytest.mark.parametrize("kind", ["flat", "eav"])
def test_odd_characters_survive(value, form, kind):
    simulator = Simulator()
    handle = simulator.add_project(make_study("classic", records=1), name="study")
    handle.save("1", {"remarks": f"a{value}b"})
    pairs = {"token": handle.token, "content": "record", "format": form, "fields": "remarks", "type": kind}
    body = b"".join(router.answer(simulator._site, Parameters(pairs.items())).body).decode()
    if form == "json":
        found = json.loads(body)[0]
    elif form == "csv":
        [found] = csv.DictReader(io.StringIO(body, newline=""))
    else:
        found = {cell.tag: cell.text for cell in ElementTree.fromstring(body)[0]}
    wanted = f"a{value}b" if form != "xml" else f"a{value}b".replace("\r\n", "\n")
    assert found["remarks" if kind == "flat" else "value"] == wanted
