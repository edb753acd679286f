"""Records that come in as ODM, as the flat rows an import takes."""

from __future__ import annotations

from redcap_source.simulator.errors import Refusal, SimulatorError
from redcap_source.simulator.loaders.odm import records_from_xml
from redcap_source.simulator.rules.imports import key_cells
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.wire.import_data import BAD_FORMAT


def rows_of_odm(project: Project, text: str) -> list[dict[str, str]]:
    """A row for each slot of each subject."""
    try:
        records = records_from_xml(text.encode(), project)
    except SimulatorError as error:
        raise Refusal(BAD_FORMAT) from error
    rows: list[dict[str, str]] = []
    for record in records:
        for slot, values in record.slots.items():
            row = {project.dictionary.record_id: record.id, **values, **key_cells(project, slot)}
            if record.group:
                row["redcap_data_access_group"] = record.group
            rows.append(row)
    return rows
