"""The rules of a project from its present structure, and whether the mirror's tables have that structure too."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config.settings import ProjectConfig
from pipelines.extract.selection import narrow
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.tables.layout import Layout, make_layout, unexpected_columns
from pipelines.warehouse.tables.structure import Structure
from pipelines.writeback.decide.rulebook import Allowed, Rulebook, make_rulebook


@dataclass(frozen=True, slots=True)
class ProjectRules:
    """A project's present structure, and the rules that follow from it and from projects.yaml."""

    structure: Structure
    """Without what projects.yaml leaves out."""
    rulebook: Rulebook
    layout: Layout
    in_step: bool
    """Whether the mirror's tables have this structure."""


def make_project_rules(structure: Structure, project: ProjectConfig, mirror: Mirror) -> ProjectRules:
    """Make the rules from the structure that was just read from REDCap."""
    narrowed = narrow(structure, project)
    visible = mirror.state.previous().visible_columns
    layout = make_layout(narrowed, visible, hash_identifiers=project.identifiers == "hash")
    rulebook = make_rulebook(
        structure,
        loaded=[instrument.instrument_name for instrument in narrowed.instruments],
        allowed=Allowed(frozenset(project.writeback.fields), frozenset(project.writeback.instruments)),
        identifiers=project.identifiers == "keep",
    )
    return ProjectRules(narrowed, rulebook, layout, _is_in_step(narrowed, layout, visible, mirror))


def _is_in_step(structure: Structure, layout: Layout, visible: tuple[str, ...], mirror: Mirror) -> bool:
    """Whether the mirror has the columns of this structure, except those the token did not see at the last load."""
    expected = {table.name: [column.name for column in table.columns] for table in layout.instruments}
    if not mirror.tables.have_columns(expected) or unexpected_columns(structure, visible):
        return False
    every_field = {column.field for table in make_layout(structure).instruments for column in table.columns}
    visible_fields = {column.field for table in layout.instruments for column in table.columns}
    if not every_field - visible_fields <= mirror.state.hidden_fields():
        return False
    return not mirror.tables.find_renames(structure)
