"""A REDCap server for tests, rehearsals and demonstrations: stateful, over real HTTP, with its own log and clock.

    from redcap_source.simulator import Simulator, make_study

    with Simulator() as sim:
        study = sim.add_project(make_study("longitudinal", records=500), name="trial")
        ...  # send requests to sim.url with study.token, edit with study.save(...), inject sim.faults.add("502")

It shares no code with the client, so that an error in one is not repeated in the other.

Files, from the command down: serve.py, contents.py, simulator.py; control.py and server/ (HTTP) over
engine.py, which answers one request; api/, export/, edits/, rules/, logic/, state/ and wire/; loaders/ and studies/
make projects.
"""

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.edits.handle import ProjectHandle
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.faults import Fault, Faults, parse_fault
from redcap_source.simulator.loaders.load import load_project
from redcap_source.simulator.simulator import Simulator
from redcap_source.simulator.state.project import Allocation, Project
from redcap_source.simulator.studies import STUDIES, make_study

__all__ = [
    "STUDIES",
    "Allocation",
    "Behaviour",
    "Fault",
    "Faults",
    "Project",
    "ProjectHandle",
    "Simulator",
    "SimulatorError",
    "load_project",
    "make_study",
    "parse_fault",
]
