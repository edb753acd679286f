"""What an import asks for and what it would store."""

from __future__ import annotations

from dataclasses import dataclass, field

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.state.records import Slot
from redcap_source.simulator.wire.parameters import Parameters


@dataclass(frozen=True)
class ImportOptions:
    """The options of an import."""

    overwrite: bool = False
    date_format: str = "YMD"
    auto_number: bool = False
    refuses_calculated: bool = False
    checks_form_rights: bool = False
    checks_limits: bool = False
    ids_ignore_case: bool = False

    @staticmethod
    def of(parameters: Parameters, behaviour: Behaviour) -> ImportOptions:
        """The options that a request gives, and those that are the server's own."""
        return ImportOptions(
            overwrite=parameters.text("overwriteBehavior") == "overwrite",
            date_format=parameters.text("dateFormat", "YMD").upper() or "YMD",
            auto_number=parameters.flag("forceAutoNumber"),
            refuses_calculated=behaviour.import_calculated == "refuse",
            checks_form_rights=behaviour.import_checks_form_rights,
            checks_limits=behaviour.import_checks_limits,
            ids_ignore_case=behaviour.ids_ignore_case,
        )


@dataclass
class Plan:
    """What an import would store, and its errors."""

    records: dict[str, dict[Slot, dict[str, str]]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    # Record, field, value and REDCap's message of each wrong cell.
    errors: list[tuple[str, str, str, str]] = field(default_factory=list)
    # The ids of the records with errors; an error may show an id together with its event.
    failed: set[str] = field(default_factory=set)

    def add_error(self, record_id: str, name: str, value: str, message: str, shown: str = "") -> None:
        """Add an error of a cell; `shown` is what it shows for the record, the id unless given."""
        self.failed.add(record_id)
        self.errors.append((shown or record_id, name, value, message))

    def refuse_errors(self) -> None:
        """Refuse an import with errors: one quoted line per wrong cell."""
        if self.errors:
            raise Refusal("\n".join(",".join(_quoted(cell) for cell in error) for error in self.errors))


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'
