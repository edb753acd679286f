"""Which part of a project is loaded, where projects.yaml leaves some of it out. Pure.

Instruments are left out by name, fields that the dictionary tags as identifiers by `identifiers: drop`. What is left
out is never requested, so it never reaches this machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipelines.config.settings import ProjectConfig
from pipelines.errors import ConfigError
from pipelines.warehouse.tables.structure import Structure
from redcap_source import dictionary


@dataclass(frozen=True, slots=True)
class Selection:
    """The `fields` and `forms` of an export; both empty means everything."""

    fields: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()


def narrow(structure: Structure, project: ProjectConfig) -> Structure:
    """The structure without what projects.yaml leaves out; refuses names REDCap does not know."""
    _check_identifiable_ids(structure, project)
    wanted = _wanted_instruments(structure, project)
    drop = project.identifiers == "drop"
    record_id, *fields = structure.fields
    kept = [f for f in fields if f.form_name in wanted and not (drop and dictionary.is_identifier(f))]
    return replace(
        structure,
        fields=(record_id, *kept),
        instruments=tuple(i for i in structure.instruments if i.instrument_name in wanted),
    )


def select(narrowed: Structure, project: ProjectConfig) -> Selection:
    """What to request so that only the narrowed structure is returned."""
    if project.identifiers == "drop":
        # Every field is named, and every form status with them: REDCap adds none by itself.
        statuses = [f"{i.instrument_name}_complete" for i in narrowed.instruments]
        shown = [f.field_name for f in narrowed.fields if f.field_type != "descriptive"]
        return Selection(fields=(*shown, *statuses))
    if project.include is not None or project.exclude is not None:
        return Selection(
            fields=(narrowed.record_id_field,), forms=tuple(i.instrument_name for i in narrowed.instruments)
        )
    return Selection()


def unknown_in_writeback(structure: Structure, project: ProjectConfig) -> tuple[str, ...]:
    """Remarks about names that projects.yaml allows to be written back and that REDCap does not have.

    A mistyped name would otherwise show only weeks later, as a proposal that may not be written.
    """
    instruments = {i.instrument_name for i in structure.instruments}
    fields = {f.field_name for f in structure.fields} | {f"{name}_complete" for name in instruments}
    fields |= {name.export_field_name for name in structure.export_field_names}
    unknown = (
        ("fields", sorted(set(project.writeback.fields) - fields)),
        ("instruments", sorted(set(project.writeback.instruments) - instruments)),
    )
    return tuple(
        f"projects.yaml, projects.{project.name}.writeback.{key}: REDCap has no {', '.join(names)}."
        for key, names in unknown
        if names
    )


def _wanted_instruments(structure: Structure, project: ProjectConfig) -> set[str]:
    known = {i.instrument_name for i in structure.instruments}
    wanted = set(known)
    for key, narrowing in (("include", project.include), ("exclude", project.exclude)):
        if narrowing is None:
            continue
        named = set(narrowing.instruments)
        if unknown := sorted(named - known):
            raise ConfigError(
                f"{key} names instruments the project does not have: {', '.join(unknown)}.",
                where=f"projects.yaml, projects.{project.name}.{key}.instruments",
                remedy=f"It has: {', '.join(sorted(known))}.",
            )
        wanted = wanted & named if key == "include" else wanted - named
    return wanted


def _check_identifiable_ids(structure: Structure, project: ProjectConfig) -> None:
    if project.identifiers == "keep" or not dictionary.is_identifier(structure.fields[0]):
        return
    raise ConfigError(
        f"identifiers: {project.identifiers} is not possible, because the record-id field "
        f"{structure.record_id_field} is itself tagged as an identifier, and every row is stored under its id.",
        where=f"projects.yaml, projects.{project.name}.identifiers",
        remedy="Use neutral record ids in REDCap, or set identifiers: keep.",
    )
