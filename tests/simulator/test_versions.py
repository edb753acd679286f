"""What is answered fits the version that is reported."""

import json

import pytest

from redcap_source.simulator import Simulator, SimulatorError
from redcap_source.simulator.state.project import Folder, Group, RepositoryFile, StoredFile
from redcap_source.simulator.versions import is_from, version_numbers
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic


@pytest.fixture(scope="module")
def server():
    """A server whose version can be set, with a bit of everything."""
    project = classic({"id": "1"})
    project.groups = {"site_a": Group(7, "Site A", "site_a")}
    project.folders[101] = Folder("docs", group="site_a")
    project.repository[1] = RepositoryFile(StoredFile("a.txt", b"x"))
    with Simulator() as simulator:
        yield simulator, Asker(simulator.url, simulator.add_project(project, name="p"))


CASES = [
    ({"content": "project"}, "project_pi_email", "15.8.1", "15.8.2"),
    ({"content": "project"}, "has_repeating_instruments_or_events", "6.18.1", "7.0.0"),
    ({"content": "user"}, "data_access_group_label", "15.9.3", "16.0.0"),
    ({"content": "user"}, "email_logging", "14.3.14", "14.4.0"),
    ({"content": "user"}, "api_modules", "14.0.2", "14.0.3"),
    ({"content": "user"}, "forms_export", "12.4.9", "12.5.0"),
    ({"content": "userRoleMapping"}, "data_access_group", "15.8.1", "15.8.2"),
    ({"content": "dag"}, "data_access_group_id", "13.0.14", "13.1.0"),
    ({"content": "log"}, "record", "12.5.16", "13.0.0"),
    ({"content": "fileRepository", "action": "list"}, "role", "16.0.7", "16.0.8"),
    ({"content": "fileRepository", "action": "list"}, "dag", "16.0.7", "16.0.8"),
]


@pytest.mark.parametrize(("asked", "key", "before", "since"), CASES)
def test_a_key_is_there_from_the_version_that_brought_it(server, asked, key, before, since):
    simulator, ask = server
    for version, is_there in ((before, False), (since, True), ("17.1.3", True)):
        simulator.version = version
        assert ask(content="version") == version
        answered = ask.json(**asked)
        row = answered if isinstance(answered, dict) else answered[0]
        assert (key in row, key in ask.csv(**asked)[0]) == (is_there, is_there)
        assert (f"<{key}>" in ask(format="xml", **asked)) == is_there


@pytest.mark.parametrize(("version", "count"), [("14.7.3", 18), ("15.8.1", 18), ("15.8.2", 19), ("16.0.0", 19)])
def test_as_many_settings_are_taken_back_as_the_version_has(server, version, count):
    simulator, ask = server
    simulator.version = version
    info = ask.json(content="project")
    assert ask(content="project_settings", format="json", data=json.dumps(info)) == str(count)
    # One that the version does not have is passed over even if it is sent.
    whole = {**info, "project_pi_email": "pi@example.org"}
    assert ask(content="project_settings", format="json", data=json.dumps(whole)) == str(count)


def test_older_servers_have_one_export_right_for_all_instruments(server):
    simulator, ask = server
    ask.project.add_user("kim", forms_export=2)
    simulator.version = "10.5.0"
    rows = {row["username"]: row for row in ask.json(content="user")}
    assert (rows["api_user"]["data_export"], rows["kim"]["data_export"]) == (1, 2)
    assert "forms_export" not in rows["kim"]
    simulator.version = "14.7.3"
    assert "data_export" not in ask.json(content="user")[0]


def test_a_method_that_came_later_does_not_exist(server):
    simulator, ask = server
    simulator.version = "10.7.1"
    assert ask.refused(content="log") == (400, 'The value of the parameter "content" is not valid')
    simulator.version = "8.9.0"
    refused = ask.refused(content="repeatingFormsEvents", data="[]")
    assert refused == (400, 'The value of the parameter "action" is not valid')
    simulator.version = "10.8.0"
    assert ask.json(content="log")


@pytest.mark.parametrize("version", ["", "newest", "14", "v14.7.3"])
def test_what_is_no_version_cannot_be_played(version):
    with pytest.raises(SimulatorError, match=f"'{version}' is not a version of REDCap; give one such as 14.7.3"):
        Simulator(version=version)


def test_versions_are_compared_as_numbers():
    assert version_numbers("14.10") == (14, 10, 0) > version_numbers("14.9.30")
    assert is_from("14.10.0", "14.9.9") and not is_from("9.9.9", "10.0.0")
