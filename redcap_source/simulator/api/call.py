"""One request as the handlers see it, and the kinds of answer they give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.rules.saving import By, Way
from redcap_source.simulator.state.clock import Clock
from redcap_source.simulator.state.log import Kind
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.wire.formats import CONTENT_TYPES, Table, object_text, table_text
from redcap_source.simulator.wire.parameters import Parameters


@dataclass(frozen=True)
class Answer:
    """What goes back over the wire; a body in pieces is sent as it is made."""

    body: bytes | Iterator[bytes] = field(repr=False)
    status: int = 200
    content_type: str = CONTENT_TYPES["xml"]


@dataclass(frozen=True)
class ApiRequest:
    """A request as it was received: what is asked, and of which project; blank where the token is unknown."""

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


@dataclass(frozen=True)
class Call:
    """A request by a known user on a known project."""

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
        """The variant of REDCap that is played."""
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
        """Who does what this request asks."""
        return By(self.username, self.clock, way)

    def note(self, kind: Kind, action: str, details: str = "", record: str = "") -> None:
        """Write this request into the log."""
        self.project.log.add(self.by().row(kind, action, details, record))

    def require(self, right: str, text: str) -> None:
        """Refuse a user who lacks a right."""
        if not self.project.rights_of(self.username).may(right):
            raise Refusal(text, 403)

    def named(self, parameter: str) -> list[str]:
        """What a request is to do something to, each once; a request that names nothing is refused."""
        names = list(dict.fromkeys(self.parameters.items(parameter)))
        if not names:
            raise Refusal(f'The parameter "{parameter}" is missing')
        return names

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
    """The format of errors and results: returnFormat, else format, else XML, or JSON for PDFs."""
    default = "json" if parameters.text("content") == "pdf" else "xml"
    asked = parameters.text("returnFormat", parameters.text("format", default)).lower()
    return asked if asked in ("json", "csv", "xml") else "xml"


def action_of(parameters: Parameters) -> str:
    """What a request wants done: its action, or else import where it holds data, or else export."""
    action = parameters.text("action")
    if action:
        return action
    # Presence of `data` means an import, also where the help asks for an action: public clients leave it out.
    return "import" if "data" in parameters else "export"
