"""Which rights the exports of users and user roles list: by the server's version, and by the project's settings."""

import pytest

from redcap_source.simulator import Simulator, load_project
from redcap_source.simulator.state.users import Role
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic

OPTIONAL = ("data_quality_resolution", "mycap_participants", "random_setup", "random_dashboard", "random_perform")


def listed(ask, content="user"):
    rows = ask.csv(content=content)
    return [name for name in OPTIONAL if name in rows[0]]


def test_no_role_makes_a_server_list_rights_that_the_project_has_no_use_for(asker):
    project = classic()
    project.roles["U-X"] = Role("U-X", "All", dict.fromkeys(OPTIONAL, 1))
    ask = asker(project)
    assert listed(ask) == listed(ask, "userRole") == []


@pytest.mark.parametrize("content", ["user", "userRole"])
def test_the_projects_settings_make_it_list_them(asker, content):
    project = classic()
    project.roles["U-X"] = Role("U-X", "All", {"mycap_participants": 1})
    ask = asker(project)
    project.mycap_enabled = True
    assert listed(ask, content) == ["mycap_participants"]
    project.data_resolution_enabled = True
    project.settings["randomization_enabled"] = 1
    assert listed(ask, content) == list(OPTIONAL)
    names = list(ask.csv(content=content)[0])
    assert names[names.index("data_quality_execute") + 1] == "data_quality_resolution"
    assert names[names.index("lock_records_customization") + 1] == "mycap_participants"


def test_a_project_xml_says_whether_it_uses_mycap(asker, tmp_path):
    project = classic()
    project.mycap_enabled = True
    path = tmp_path / "study.xml"
    path.write_text(asker(project)(content="project_xml"))
    assert load_project(path).mycap_enabled


@pytest.mark.parametrize(
    ("version", "there"),
    [
        ("12.5.0", {"mycap_participants": False, "api_modules": False, "email_logging": False}),
        ("13.0.0", {"mycap_participants": True, "api_modules": False, "email_logging": False}),
        ("14.0.3", {"mycap_participants": True, "api_modules": True, "email_logging": False}),
        ("14.4.0", {"mycap_participants": True, "api_modules": True, "email_logging": True}),
    ],
)
def test_rights_are_listed_from_the_version_that_brought_them(version, there):
    project = classic()
    project.mycap_enabled = True
    with Simulator(version=version) as simulator:
        ask = Asker(simulator.url, simulator.add_project(project, name="p"))
        names = set(ask.csv(content="user")[0])
        assert {name: name in names for name in there} == there
        assert {name: name in ask.json(content="user")[0] for name in there} == there


def test_the_settings_behind_the_rights_are_kept_in_a_saved_state(simulator, asker, tmp_path):
    project = classic()
    project.mycap_enabled = project.data_resolution_enabled = True
    asker(project)
    simulator.save_state(tmp_path / "state")
    simulator.load_state(tmp_path / "state")
    kept = next(iter(simulator.projects.values())).project
    assert kept.mycap_enabled and kept.data_resolution_enabled
