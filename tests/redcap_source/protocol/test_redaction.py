import pytest

from redcap_source.protocol.redaction import redact
from redcap_source.protocol.request import Request


@pytest.mark.parametrize(
    ("parameters", "text", "said"),
    [
        # Names of the project's design may be told, whoever quotes them.
        (
            {"fields": ["x", "y"]},
            "The following values in the parameter \"fields\" are not valid: 'x', 'y'",
            "The following values in the parameter \"fields\" are not valid: 'x', 'y'",
        ),
        (
            {"data": "[]"},
            "The following fields were not found in the project as real data fields: x, y",
            "The following fields were not found in the project as real data fields: x, y",
        ),
        # Records and values may not.
        ({"record": "P77"}, 'The record "P77" does not exist', "The record '…' does not exist"),
        ({"records": ["P77"]}, "Record P77 is locked", "Record … is locked"),
        ({"records": ["7"]}, "Wait 77 s for record 7.", "Wait 77 s for record …."),
        (
            {},
            "One or more of the records do not exist. The following records do not exist: 1, 7",
            "One or more of the records do not exist. The following records do not exist: …",
        ),
        ({"filterLogic": "[name] = 'Ann'"}, "Syntax error near [name] = 'Ann'", "Syntax error near …"),
        ({"data": '[{"record_id":"P77","name":"Ann"}]'}, "Ann is odd (P77, name)", "… is odd (…, name)"),
        ({"data": "record_id,name\nP77,Ann\n"}, "Ann is odd (P77, name)", "… is odd (…, name)"),
    ],
)
def test_messages_are_redacted(parameters, text, said):
    assert redact(text, Request("record", parameters=parameters)) == said


def test_messages_about_the_design_are_not_redacted():
    text = 'The form named "demographics" is incorrect for the user role "U-1"'
    assert redact(text, Request("userRole", parameters={"data": "[]"})) == text


def test_long_messages_are_cut():
    assert redact("x" * 1000, Request("metadata")) == "x" * 400 + "…"
