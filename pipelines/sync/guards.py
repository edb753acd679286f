"""What a load refuses to do, because it would destroy good data if it were a mistake. Pure.

Each refusal says what happened, what was kept, and which option to use if it is intended.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipelines.errors import LoadRefused
from pipelines.extract.missing_records import MOST_ALONE
from pipelines.sync.findings import Findings
from pipelines.warehouse.mirror.state import PreviousLoad
from pipelines.warehouse.tables.layout import Layout
from pipelines.warehouse.tables.name_collisions import collisions
from pipelines.warehouse.tables.structure import Structure
from pipelines.wording import counted

# How many pairs of names a refusal quotes.
MOST_NAMED = 5

KEPT = "No record was deleted here, and the published data is unchanged."


@dataclass(frozen=True, slots=True)
class Guard:
    """What projects.yaml and the person who started the load allow."""

    project: str
    project_id: int | None
    """The id of the REDCap project that projects.yaml names, if it does."""
    deletion_limit: float
    allow_deletions: bool
    allow_narrower: bool

    def check(self, findings: Findings, previous: PreviousLoad) -> None:
        """Raise LoadRefused if applying what was found could destroy good data."""
        self.check_names(findings.layout)
        self.check_visible(findings.layout, previous)
        self.check_group(findings.layout, findings.structure, previous, findings.unlogged_deletions)
        self.check_deletions(len(findings.missing), len(findings.known), len(findings.census.records))

    def check_binding(self, structure: Structure, previous: PreviousLoad) -> None:
        """Refuse a token of another project than before, and another record-id field."""
        found = structure.project.project_id
        wanted = self.project_id if self.project_id is not None else previous.project_id
        if found is not None and wanted is not None and found != wanted:
            raise LoadRefused(
                project=self.project,
                problem=f"the token belongs to REDCap project {found}, not to {wanted}.",
                kept="No record was read, and the warehouse is unchanged.",
                remedy="Check the token. If the study really moved, set project_id in projects.yaml and run "
                f"`redcap-warehouse sync {self.project} --start-over`, which discards the project's history in the "
                "warehouse.",
            )
        field_name = structure.record_id_field
        if previous.record_id_field not in (None, field_name):
            raise LoadRefused(
                project=self.project,
                problem=f"the record-id field is now {field_name}, and was {previous.record_id_field}.",
                kept="Every row is stored under its record id, so nothing was changed.",
                remedy=f"If this is correct, run `redcap-warehouse sync {self.project} --start-over`: it reads "
                "everything again and discards the project's history in the warehouse.",
            )

    def check_names(self, layout: Layout) -> None:
        """Refuse instruments or columns whose names cannot be distinguished in the warehouse."""
        found = collisions(layout)
        if not found:
            return
        more = f" (and {len(found) - MOST_NAMED} more)" if len(found) > MOST_NAMED else ""
        raise LoadRefused(
            project=self.project,
            problem=f"some names cannot be distinguished: {'; '.join(found[:MOST_NAMED])}{more}.",
            kept="Nothing was changed.",
            remedy="Give one of each pair another name or code in REDCap, or leave its instrument out with exclude in "
            "projects.yaml.",
        )

    def check_visible(self, layout: Layout, previous: PreviousLoad) -> None:
        """Refuse a token that no longer sees all fields that it saw."""
        hidden = set(layout.hidden_fields)
        lost = [name for name in previous.visible_columns if name in hidden]
        if lost and not self.allow_narrower:
            raise LoadRefused(
                project=self.project,
                problem=f"the token no longer sees {counted(len(lost), 'field')} that it saw last time "
                f"({_some(lost)}), though the dictionary still has them: its export rights were reduced.",
                kept="Nothing was changed.",
                remedy="Ask for the rights again, or run with --allow-narrower to remove these columns.",
            )

    def check_group(
        self, layout: Layout, structure: Structure, previous: PreviousLoad, unlogged: Collection[str] | None
    ) -> None:
        """Refuse where records may be missing because the token cannot see them, or because the server is failing.

        A token that was put into a data access group no longer sees the records of other groups. REDCap does not say
        so, but it sends a token in a group no column with groups, and mostly no list of them. Where a group cannot be
        the reason, many `unlogged` deletions (missing records that the log does not show as deleted) may still be a
        server's failure.
        """
        if self.allow_narrower:
            return
        if layout.data_access_groups or not structure.may_have_groups:
            self._check_unlogged(unlogged)
            return
        if previous.in_group is False:
            problem = (
                "the token may have been put into a data access group: last time it saw the groups, and now it does "
                "not."
            )
        elif unlogged and not self.allow_deletions:
            problem = (
                f"{counted(len(unlogged), 'record is', 'records are')} out of sight, and the log shows no deletion: "
                "the token may have been put into another data access group."
            )
        else:
            return
        raise LoadRefused(
            project=self.project,
            problem=problem,
            kept=KEPT,
            remedy="Remove the token's user from the group, or run with --allow-narrower to delete what it hides.",
        )

    def _check_unlogged(self, unlogged: Collection[str] | None) -> None:
        if not unlogged or len(unlogged) <= MOST_ALONE or self.allow_deletions:
            return
        raise LoadRefused(
            project=self.project,
            problem=f"{counted(len(unlogged), 'record is', 'records are')} no longer in REDCap's answers, and its log "
            "shows no deletion.",
            kept=KEPT,
            remedy="If they were really deleted (deleting an event or arm does not log its records), run with "
            "--allow-deletions; otherwise try again.",
        )

    def check_deletions(self, deleted: int, known: int, census: int) -> None:
        """Refuse to delete a large share of the `known` records; `census` is how many REDCap lists."""
        limit = self.deletion_limit
        if not deleted or self.allow_deletions or known == 0:
            return
        # One or two records of a small project are everyday work, whatever their share.
        if census and (deleted <= 2 or deleted / known <= limit):
            return
        raise LoadRefused(
            project=self.project,
            problem=f"{deleted:,} of {counted(known, 'record')} are no longer in REDCap's answer, more than the "
            f"{limit:.0%} that one load may delete. The token may have been put into a data access group.",
            kept=KEPT,
            remedy="If they were really deleted, run with --allow-deletions.",
        )


def _some(names: Sequence[str]) -> str:
    """The first five names; an ellipsis only where there are more."""
    return ", ".join([*names[:5], *(["…"] if len(names) > 5 else [])])
