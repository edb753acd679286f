"""One request, as it was received and as the handlers see it, and the kinds of answer they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.rules.saving import By, Way
from redcap_source.simulator.state.clock import Clock
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.log import Kind
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.wire.formats import CONTENT_TYPES, Table, object_text, table_text
from redcap_source.simulator.wire.parameters import Parameters


@dataclass(frozen=True)
class Answer:
    """What is sent back; a body in pieces is sent while it is made."""

    body: bytes | Iterator[bytes] = field(repr=False)
    status: int = 200
    content_type: str = CONTENT_TYPES["xml"]


@dataclass(frozen=True)
class ApiRequest:
    """A request as it was received: what is asked, and of which project; blank if the token is unknown."""

    project: str
    content: str
    action: str
    parameters: Parameters = field(repr=False)
    # The format of results and errors.
    return_format: str = "xml"

    @staticmethod
    def of(parameters: Parameters, project: str) -> ApiRequest:
        """The request that these parameters make."""
        content, action = parameters.text("content"), action_of(parameters)
        return ApiRequest(project, content, action, parameters, return_format_of(parameters))


# What REDCap says to a user without a right.
WITHOUT_RIGHT: Mapping[str, str] = {
    "api_export": "You do not have API Export privileges",
    "api_import": "You do not have API Import/Update privileges",
    "data_access_groups": "You do not have permission to use Data Access Groups",
    "design": "You do not have Project Design and Setup privileges",
    "file_repository": "You do not have File Repository privileges",
    "logging": "You do not have permission to export the logging of this project",
    "manage_survey_participants": "You do not have Manage Survey Participants privileges",
    "random_perform": "You do not have Randomize privileges",
    "record_delete": "You do not have Delete Record privileges",
    "record_rename": "You do not have Rename Record privileges",
    "user_rights": "You do not have User Rights privileges",
}


@dataclass(frozen=True)
class Call:
    """A request by a known user on a known project, as the handlers see it."""

    site: Site
    project: Project
    username: str
    parameters: Parameters

    @property
    def clock(self) -> Clock:
        """The server's clock."""
        return self.site.clock

    @property
    def behaviour(self) -> Behaviour:
        """The variant of REDCap that is simulated."""
        return self.site.behaviour

    @property
    def format(self) -> str:
        """The format of a successful answer."""
        return format_of(self.parameters)

    @property
    def return_format(self) -> str:
        """The format of results and errors."""
        return return_format_of(self.parameters)

    def by(self, way: Way = " (API)") -> By:
        """Who makes the changes that this request asks for."""
        return By(self.username, self.clock, way)

    def log(self, kind: Kind, action: str, details: str = "", record: str = "") -> None:
        """Write a row about this request into the log."""
        self.project.log.add(self.by().row(kind, action, details, record))

    def require(self, *rights: str) -> None:
        """Refuse a user who lacks one of these rights."""
        for right in rights:
            if not self.project.rights_of(self.username).may(right):
                raise Refusal(WITHOUT_RIGHT[right], 403)

    def named(self, parameter: str) -> list[str]:
        """The names in a parameter, each once; a request that names nothing is refused."""
        names = list(dict.fromkeys(self.parameters.items(parameter)))
        if not names:
            raise Refusal(f'The parameter "{parameter}" is missing')
        return names

    def records(self) -> list[Record]:
        """The records that the user may see: those of the user's data access group, or all."""
        group = self.project.user(self.username).group
        return [record for record in self.project.records if not group or record.group == group]

    def record(self, name: str) -> Record | None:
        """The record of that id, if it exists and the user may see it."""
        record = self.project.records.get(name)
        group = self.project.user(self.username).group
        return None if record is None or (group and record.group != group) else record

    def event(self, name: str, *, required: bool = True) -> Event:
        """The event that a request names by its unique name; a classic project has just one."""
        project = self.project
        if not project.is_longitudinal:
            return project.first_event()
        event = project.event_named(name)
        if event is None:
            if not name and not required:
                return project.first_event()
            raise Refusal(f'The value of the parameter "event" is not valid: {name}')
        return event

    def table(self, table: Table) -> Answer:
        """A table in the format asked for."""
        raw = self.behaviour.json_unicode == "raw"
        return text_answer(table_text(table, self.format, raw=raw), self.format)

    def object(self, values: dict[str, str | int]) -> Answer:
        """One object in the format asked for."""
        raw = self.behaviour.json_unicode == "raw"
        return text_answer(object_text(values, self.format, raw=raw), self.format)

    def text(self, text: str | int) -> Answer:
        """A bare text or number, the same in every format."""
        return text_answer(str(text), self.return_format)


def text_answer(text: str, form: str, status: int = 200) -> Answer:
    """An answer of text."""
    return Answer(text.encode(), status, CONTENT_TYPES.get(form, CONTENT_TYPES["xml"]))


def format_of(parameters: Parameters) -> str:
    """The format asked for; XML when none is."""
    asked = parameters.text("format", "xml").lower()
    return asked if asked in CONTENT_TYPES else "xml"


def return_format_of(parameters: Parameters) -> str:
    """The format of results and errors: returnFormat, else format, else XML, or JSON for PDFs."""
    default = "json" if parameters.text("content") == "pdf" else "xml"
    asked = parameters.text("returnFormat", parameters.text("format", default)).lower()
    return asked if asked in ("json", "csv", "xml") else "xml"


def action_of(parameters: Parameters) -> str:
    """The action of a request: the one it names, else import if it holds data, else export."""
    action = parameters.text("action")
    if action:
        return action
    # Presence of `data` means an import, also where the help asks for an action: public clients leave it out.
    return "import" if "data" in parameters else "export"


def refuse_classic(project: Project, what: str) -> None:
    """Refuse a request that only longitudinal projects can answer; `what` is a verb and its object."""
    if not project.is_longitudinal:
        raise Refusal(f"You cannot {what} for classic projects")
