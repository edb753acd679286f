"""Values where the setup has no place for them: an event that their instrument is not designated for."""

from redcap_source.simulator.state.project import Project

STRAY = "a value where none belongs"


def put_stray_value(project: Project, name: str) -> str:
    """Give the record such a value in its first event; returns the value."""
    record = project.records.get(name)
    assert record is not None
    event_id = next(event_id for event_id, form, _ in record.slots if not form)
    forms = project.mapping[event_id]
    column = next(c for c in project.dictionary.columns if c.form not in forms and c.kind == "value")
    record.slots[event_id, "", 0][column.name] = STRAY
    return STRAY
