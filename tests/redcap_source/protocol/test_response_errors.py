import pytest

from redcap_source import errors
from redcap_source.errors import RequestContext
from redcap_source.protocol.completeness import CompletenessCheck
from redcap_source.protocol.error_texts import error_text, rejected_cells
from redcap_source.protocol.request import Expect, Request
from redcap_source.protocol.response_errors import Answer, error_for_status, error_in_opening

CONTEXT = RequestContext("record", "", "heart_study", "redcap.example.edu")
ROWS = Request("metadata")
CSV = Request("record", format="csv", expect=Expect.RECORDS_CSV)
LABELS = Request("record", parameters={"rawOrLabelHeaders": "label"}, format="csv", expect=Expect.RECORDS_CSV)
XML = Request("record", format="xml", expect=Expect.XML)
LINE = Request("version", expect=Expect.LINE)
IMPORT = Request("record", parameters={"data": "[]"}, expect=Expect.JSON, repeatable=False)


def json_error(text):
    return b'{"error":"' + text.encode() + b'"}'


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
def test_a_page_that_says_banned_is_a_ban_whatever_its_status(status):
    body = b"<html>Your IP address has been banned</html>"
    assert type(error_for_status(ROWS, CONTEXT, Answer(status, {}, body))) is errors.Banned


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (301, b"", {"location": "https://redcap.example.edu/api/"}, errors.Redirected),
        (400, json_error("The value of the parameter \\\"content\\\" is not valid"), {}, errors.RequestRefused),
        (400, json_error("You cannot export arms for classic projects"), {}, errors.NotForClassicProjects),
        (400, b"ERROR: You cannot export events for classic projects", {}, errors.NotForClassicProjects),
        (400, b"ERROR: cannot EXPORT form/event mapping for Classic projects", {}, errors.NotForClassicProjects),
        (
            400,
            json_error("You cannot export repeating instruments and events because the project does not contain any "
                       "repeating instruments and events"),
            {},
            errors.NothingConfigured,
        ),
        (400, b"<html><body>Bad Request</body></html>", {}, errors.UnexpectedAnswer),
        (401, b"", {}, errors.TokenRefused),
        (403, json_error("You do not have permissions to use the API"), {}, errors.TokenRefused),
        (403, json_error("You do not have API Import/Update privileges"), {}, errors.MissingRight),
        (400, json_error("You do not have Delete Record privileges"), {}, errors.MissingRight),
        (403, b"<html><title>Web Application Firewall</title></html>", {}, errors.Blocked),
        (403, b"<html>Your IP address has been banned</html>", {}, errors.Banned),
        (404, b"<!DOCTYPE HTML PUBLIC><title>404 Not Found</title>", {}, errors.WrongUrl),
        (405, b"", {}, errors.WrongUrl),
        (501, b"<hash><error>The requested method is not implemented.</error></hash>", {}, errors.WrongUrl),
        (408, b"", {}, errors.ServerOverloaded),
        (413, b"<html>Request Entity Too Large</html>", {}, errors.TooLarge),
        (429, b"", {"retry-after": "30"}, errors.RateLimited),
        (500, b"", {}, errors.ServerOverloaded),
        (500, json_error("REDCap ran out of server memory. The request cannot be processed."), {}, errors.TooLarge),
        (502, b"<html>Bad Gateway</html>", {}, errors.ServerOverloaded),
        (503, b"", {"retry-after": "nonsense"}, errors.ServerOverloaded),
    ],
)  # fmt: skip
def test_a_status_other_than_200(status, body, headers, kind):
    error = error_for_status(ROWS, CONTEXT, Answer(status, headers, body))
    assert type(error) is kind
    assert error.status == status
    assert "heart_study" in str(error)


def test_a_server_may_name_its_own_wait():
    assert error_for_status(ROWS, CONTEXT, Answer(429, {"retry-after": "30"}, b"")).retry_after == 30


def test_an_import_that_php_dropped_for_its_size_is_too_large():
    error = error_for_status(IMPORT, CONTEXT, Answer(400, {}, b""))
    assert isinstance(error, errors.TooLarge)
    assert error.not_applied


HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head>"
PHP = b"<br />\n<b>Warning</b>:  Undefined variable in <b>/var/www/x.php</b> on line <b>3</b><br />\n[]"
MEMORY = b'<br /><b>Fatal error</b>: Allowed memory size of 134217728 bytes exhausted<br />{"error":"x"}'
DOWN = b"The hostname (db) / username (u) / password (p) combination could not connect to the server."


@pytest.mark.parametrize(
    ("request_", "opening", "kind"),
    [
        (ROWS, b"[]", None),
        (ROWS, b"\xef\xbb\xbf\n[", None),
        (ROWS, b"", errors.EmptyAnswer),
        (ROWS, b" \n", errors.EmptyAnswer),
        (ROWS, HTML, errors.NotRedcap),
        (ROWS, b"\n\n  <!-- x --> " + HTML, errors.NotRedcap),
        (ROWS, b"<div>Maintenance</div>", errors.NotRedcap),
        (ROWS, DOWN, errors.NotRedcap),
        (ROWS, b"<html>You have been banned and cannot use REDCap", errors.Banned),
        (ROWS, PHP, errors.UnexpectedAnswer),
        (ROWS, MEMORY, errors.TooLarge),
        (ROWS, json_error("You cannot export arms for classic projects"), errors.NotForClassicProjects),
        (ROWS, json_error("You do not have permissions to use the API"), errors.TokenRefused),
        (ROWS, b'{"record_id":"1"}', errors.UnexpectedAnswer),
        (ROWS, b"record_id,age", errors.UnexpectedAnswer),
        (CSV, b"record_id,age\n1,2\n", None),
        (CSV, b"", None),
        (CSV, b"\n", None),
        (CSV, b"ERROR: something", errors.RequestRefused),
        (CSV, b'{"error":"REDCap ran out of server memory. Try less."}', errors.TooLarge),
        (CSV, b'{"error":"cut', errors.RequestRefused),
        (CSV, b"<hash><error>something</error></hash>", errors.RequestRefused),
        (CSV, HTML, errors.NotRedcap),
        (CSV, DOWN, errors.NotRedcap),
        (CSV, b"Notice: Undefined index in x.php on line 5\nrecord_id\n1\n", errors.UnexpectedAnswer),
        (CSV, b"Sorry for the inconvenience\n", errors.UnexpectedAnswer),
        (CSV, b'record_id,note\n1,"Warning: on line 5, please banned <html>"\n', None),
        (LABELS, b'"Record ID",<div class="rich-text-field-label">Age</div>\n1,2\n', None),
        (LABELS, b'<b>Error: 1</b>,"Warning (choice=1)"\n1,2\n', None),
        (XML, b'<?xml version="1.0" encoding="UTF-8" ?>\n<records>', None),
        (XML, b'<?xml version="1.0" encoding="UTF-8" ?><hash><error>No</error></hash>', errors.RequestRefused),
        (XML, b"<?xml version='1.0' ?>\n<HASH>\n<ERROR>\nNo\n</ERROR></HASH>", errors.RequestRefused),
        # What a participant wrote is no error of REDCap's.
        (
            XML,
            b"<?xml version='1.0' ?><records><item><a><![CDATA[<hash><error>No</error>]]></a></item></records>",
            None,
        ),
        (ROWS, b"<?xml version='1.0' ?>\n<hash><error>No</error></hash>", errors.RequestRefused),
        (CSV, b"<HASH>\n<ERROR>No</ERROR></HASH>", errors.RequestRefused),
        (LINE, b"<?xml version='1.0' ?><hash><error>No</error></hash>", errors.RequestRefused),
        (ROWS, b'["a","b"]', errors.UnexpectedAnswer),
        (ROWS, b"[ \n", None),
        (XML, b"[]", errors.UnexpectedAnswer),
        (XML, HTML, errors.NotRedcap),
        (LINE, b"14.7.3", None),
        (LINE, HTML, errors.NotRedcap),
        (LINE, b"ERROR: no", errors.RequestRefused),
        (Request("file", expect=Expect.BYTES), b"<html>a saved page</html>", None),
        (Request("file", expect=Expect.BYTES), b"", None),
        (Request("file", expect=Expect.BYTES), b"<html>you are banned</html>", errors.Banned),
        (Request("file", expect=Expect.NOTHING), b"", None),
    ],
)
def test_the_opening_of_an_answer_with_status_200(request_, opening, kind):
    problem = error_in_opening(request_, CONTEXT, opening, whole=True)
    assert (None if problem is None else type(problem)) is kind


@pytest.mark.parametrize(
    ("request_", "body", "kind"),
    [
        (ROWS, b"[]\n", None),
        (ROWS, b'[{"a":"1"},{"a":', errors.Truncated),
        (ROWS, b'[{"a":"1"}]{"error":"REDCap ran out of server memory."}', errors.TooLarge),
        (ROWS, b'[{"a":"1"}<br />\n<b>Fatal error</b>: Maximum execution time', errors.Truncated),
        (ROWS, b'[{"a":"[not completed]', errors.Truncated),
        (ROWS, b'[{"a":"\\\\"},{"b":"\\"}]', errors.Truncated),
        (ROWS, b'[{"a":"\\\\"},{"b":"\\""}]', None),
        (Request("project", expect=Expect.OBJECT), b'{"project_id":1', errors.Truncated),
        (Request("record", expect=Expect.JSON), b'{"count":1}', None),
        (Request("record", expect=Expect.JSON), b"17", None),
        (CSV, b"a,b\n1,2\n", None),
        (CSV, b"", None),
        (CSV, b"\n", None),
        (CSV, b"a,b\n1,2", errors.Truncated),
        (CSV, b'a,b\n1,"two\n', errors.Truncated),
        (CSV, b'a,b\n1,"two ""quoted"" words"\n', None),
        (Request("user", format="csv", expect=Expect.CSV), b'username\n"a:1,b:2"', None),
        (XML, b"<?xml version='1.0' ?>\n<records><item></item></records>\n", None),
        (XML, b"<?xml version='1.0' ?>\n<records><item></item>", errors.Truncated),
        (XML, b"<records/>", None),
        (LINE, b"14.7.3", None),
        (LINE, b"14.7.3 LTS\n", None),
        (LINE, b"14.", errors.Truncated),
        (LINE, b"14.7", errors.Truncated),
        (LINE, b"1", errors.Truncated),
        (LINE, b"\n", errors.EmptyAnswer),
        # What is no version at all is not half of one.
        (LINE, b"Welcome", None),
        (LINE, b"v14.7", None),
        (Request("generateNextRecordName", expect=Expect.LINE), b"14.", None),
        (ROWS, b'[{"a":"1"},"b"]', errors.UnexpectedAnswer),
        (ROWS, b'[{"a":["1"]', errors.Truncated),
        (Request("file", expect=Expect.BYTES), b"[half", None),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_whether_an_answer_with_status_200_is_complete(request_, body, kind, size):
    check = CompletenessCheck(request_, CONTEXT)
    # The opening comes in one piece, as the client hands it on.
    check.feed(body[:50])
    for at in range(50, len(body), size):
        check.feed(body[at : at + size])
    problem = check.error()
    assert (None if problem is None else type(problem)) is kind
    assert check.size == len(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"no"}', "no"),
        (b"ERROR: no", "no"),
        (b"error: no\n", "no"),
        (b'<?xml version="1.0" encoding="UTF-8" ?><hash><error>a &lt; b &amp; c</error></hash>', "a < b & c"),
        (b"<hash><error><![CDATA[no]]></error></hash>", "no"),
        (b"<?xml version='1.0'?>\n<hash>\n  <error>\nno,\nnot now\n</error>\n</hash>\n", "no,\nnot now"),
        (b"<HASH><ERROR>No</ERROR></HASH>", "No"),
        (
            b'{"error":"The following fields were not found in the project","fields":["x"]}',
            "The following fields were not found in the project: x",
        ),
        (b"[]", None),
        (b'{"count":1}', None),
        (b'{"error":', None),
        (b"record_id,error\n", None),
    ],
)
def test_errors_are_found_in_all_three_forms(body, text):
    assert error_text(body) == text


def test_rejected_cells_are_read_as_csv_because_values_hold_anything():
    text = (
        '"1","note","a ""b""\nc, d","No good."\n"2 (visit_arm_1)","sex","9","The value is not a valid category for sex"'
    )
    first, second = rejected_cells(text)
    assert (first.record, first.field, first.value) == ("1", "note", 'a "b"\nc, d')
    assert (second.record, second.message) == ("2 (visit_arm_1)", "The value is not a valid category for sex")


@pytest.mark.parametrize("text", ["", "Something else", '"a","b"', '"open'])
def test_other_sentences_are_no_rejected_cells(text):
    assert rejected_cells(text) == []
