"""What `simulate` can serve: fleets, further users, reports, an empty server in any time zone."""

import io
import json
import signal
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.cli.simulate_options import studies, users
from pipelines.errors import ConfigError
from redcap_source.simulator import Simulator, SimulatorError
from redcap_source.simulator.contents import Contents, UserToken, add_contents, add_reports, give_token
from redcap_source.simulator.serve import serve
from redcap_source.simulator.state.users import Role
from tests.simulator.grids import classic, repeating


class Interrupting(io.StringIO):
    """Ends the serving as soon as the announcement is out and what was to be asked is answered."""

    def __init__(self, ask):
        super().__init__()
        self._ask = ask

    def flush(self):
        super().flush()
        try:
            self._ask(self.getvalue())
        finally:
            signal.raise_signal(signal.SIGINT)


def announced(*, ask=lambda text: None, **options):
    out = Interrupting(ask)
    given = {"loads": [], "studies": [], "tokens": {}, "super_token": None, "port": 0, "as_json": True, **options}
    serve(out=out, **given)
    return out.getvalue()


def asker_as(ask, token):
    """The same questions with another user's token."""
    return lambda **asked: ask.csv(**{"token": token, **asked})


def test_a_fleet_of_a_kind_has_names_sizes_and_data_of_its_own():
    asked = studies([f"site_{number:02}=repeating" for number in range(20)] + ["classic"], ["3", "site_07=5"])
    simulator = Simulator()
    add_contents(simulator, Contents(studies=asked))
    handles = simulator.projects
    sizes = [len(handle.records()) for handle in handles.values()]
    assert list(handles)[0::20] == ["site_00", "classic"] and sizes == [3] * 7 + [5] + [3] * 13
    assert len({handle.token for handle in handles.values()}) == 21
    births = {handle.value(handle.records()[0], "birth_date") for name, handle in handles.items() if name != "classic"}
    assert len(births) > 10
    assert studies(["classic"], None) == [("classic", "classic", 100)]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: studies(["a=classic"], ["b=3"]), "'b', but there is no --study"),
        (lambda: studies(["a=classic"], ["a=x"]), "N or NAME=N"),
        (lambda: studies(["a=classic"], ["=3"]), "N or NAME=N"),
        (lambda: studies(["a=classic"], ["-3"]), "N or NAME=N"),
        (lambda: users(["kim"]), "PROJECT:NAME"),
        (lambda: users(["heart::north"]), "PROJECT:NAME"),
    ],
)
def test_options_that_are_no_options_say_so(call, words):
    with pytest.raises(ConfigError, match=words):
        call()


def test_a_super_token_alone_serves_an_empty_server():
    answers = []

    def create(announced):
        facts = json.loads(announced)
        assert facts["projects"] == {}
        new = {"token": facts["super_token"], "content": "project", "format": "json"}
        new["data"] = '[{"project_title": "New", "purpose": 0}]'
        with urllib.request.urlopen(facts["url"], urllib.parse.urlencode(new).encode(), timeout=10) as answer:
            answers.append(answer.read())

    announced(super_token="A" * 64, ask=create)
    assert len(answers[0]) == 32
    assert "super token" in announced(super_token="A" * 64, as_json=False)
    with pytest.raises(SimulatorError, match="nothing to serve"):
        announced()


def test_the_time_zone_is_the_servers():
    with pytest.raises(SimulatorError, match="no time zone 'Mars'"):
        announced(studies=[("a", "classic", 1)], time_zone="Mars")
    times = []

    def look(announced):
        facts = json.loads(announced)
        headers = {"Authorization": f"Bearer {facts['control_secret']}"}
        place = facts["url"].replace("/api/", "/_simulator/clock/advance")
        with urllib.request.urlopen(urllib.request.Request(place, b"{}", headers), timeout=10) as answer:
            times.append(datetime.fromisoformat(json.load(answer)["local"]))

    announced(studies=[("a", "classic", 1)], time_zone="Asia/Tokyo", ask=look)
    assert timedelta(hours=8.9) < times[0] - datetime.now(UTC).replace(tzinfo=None) < timedelta(hours=9.1)


@pytest.fixture
def ask(simulator, asker):
    project = repeating()
    project.roles["U-1"] = Role("U-1", "Reader", {"api_export": 1}, {"basics": 2}, {"basics": 1})
    project.settings["project_title"] = "study"
    return asker(project)


def test_a_further_user_has_the_rights_of_role_and_group(ask):
    wanted = users(["study:kim:site_a", "study:lee:Reader", "study:max", "study:ria:Reader:Site A"])
    tokens = {user.username: give_token(ask.project, user, None) for user in wanted}
    assert len(set(tokens.values())) == 4
    asked = {"content": "record", "fields": "id"}
    ids = {name: {row["id"] for row in asker_as(ask, token)(**asked)} for name, token in tokens.items()}
    assert ids == {"kim": {"1"}, "lee": {"1", "2"}, "max": {"1", "2"}, "ria": {"1"}}
    assert ask.refused(token=tokens["lee"], content="record", data="[]", action="import")[0] == 403
    assert ask.refused(token=tokens["ria"], content="log")[0] == 403
    assert ask.json(token=tokens["max"], content="log")


def test_a_projects_own_user_keeps_their_rights(ask):
    ask.project.add_user("ann", logging=0)
    assert ask.refused(token=give_token(ask.project, UserToken("study", "ann"), None), content="log")[0] == 403


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (Contents(users=[UserToken("x", "kim")]), "A user was given for 'x'"),
        (Contents(reports=[("x", "none.csv")]), "Reports were given for 'x'"),
        (Contents(tokens={"x": "A" * 32}), "A token was given for 'x'"),
        (Contents(studies=[("a", "classic", 1)], tokens={"a:kim": "A" * 32}), "A token was given for 'a:kim'"),
        (Contents(studies=[("a", "classic", 1)], users=[UserToken("a", "kim"), UserToken("a", "kim")]), "given twice"),
        (
            Contents(studies=[("a", "longitudinal", 1)], users=[UserToken("a", "kim", ("west",))]),
            "no role and no data access group 'west'; its roles: none; its groups: north, south, island",
        ),
    ],
)
def test_what_is_given_for_nobody_is_refused(contents, words):
    with pytest.raises(SimulatorError, match=words):
        add_contents(Simulator(), contents)


REPORTS = """report_id;title;fields;logic;order;shows_groups;events
3;Heavy;id, name;[age] > 30;-age;1;
4;All;id age;;;;event_1_arm_1
"""


def test_reports_come_from_a_table(simulator, asker, tmp_path):
    rows = [{"id": str(n), "name": f"N{n}", "age": str(n * 10)} for n in range(1, 6)]
    ask = asker(classic(*rows))
    (tmp_path / "reports.csv").write_text(REPORTS)
    add_reports(simulator.projects["project"], tmp_path / "reports.csv")
    assert [row["name"] for row in ask.csv(content="report", report_id="3")] == ["N5", "N4"]
    assert list(ask.csv(content="report", report_id="4")[0]) == ["id", "age"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("report_id,title,fields\n", "holds no reports"),
        ("report_id,name\n1,x\n", "no column 'name'; there are report_id, title, fields"),
        ("report_id,fields\nx,id\n", "report_id 'x'"),
        ("report_id,fields\n1,id\n1,id\n", "report_id '1'"),
        ("report_id,fields\n1,id size\n", "report 1, column 'fields': the project has no 'size'"),
        ("report_id,fields,order\n1,id,-size\n", "column 'order': the project has no 'size'"),
        ("report_id,fields,events\n1,id,later\n", "column 'events': the project has no 'later'"),
        ("report_id,fields,groups\n1,id,west\n", "column 'groups': the project has no 'west'"),
        ("report_id,fields\n1,\n", "shows no fields"),
        ("report_id,fields,folds_lines\n1,id,maybe\n", "'maybe' is neither 1 nor 0"),
        ("report_id,fields,logic\n1,id,[age] >\n", "column 'logic'"),
    ],
)
def test_reports_that_cannot_be_are_refused(simulator, asker, tmp_path, table, words):
    asker(classic())
    (tmp_path / "reports.csv").write_text(table)
    with pytest.raises(SimulatorError, match=words):
        add_reports(simulator.projects["project"], tmp_path / "reports.csv")


def test_the_announcement_names_every_users_token(tmp_path):
    options = {"studies": [("a", "longitudinal", 1)], "users": [UserToken("a", "kim", ("north",))]}
    facts = json.loads(announced(tokens={"a:kim": "C" * 32}, **options))
    assert facts["projects"]["a"]["users"] == {"kim": "C" * 32}
    assert f"a, kim  token {'C' * 32}" in announced(tokens={"a:kim": "C" * 32}, as_json=False, **options)
