"""What a load refuses to do, because it would destroy good data if it were a mistake.

Each refusal says what was seen, what was kept, and which flag to use if it is meant.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipelines.errors import LoadRefused
from pipelines.extract.missing_records import MOST_ALONE
from pipelines.run import ProjectRun
from pipelines.sync.findings import Findings
from pipelines.sync.reports import LoadOptions
from pipelines.warehouse.mirror.state import PreviousLoad
from pipelines.warehouse.tables.layout import Layout
from pipelines.warehouse.tables.name_collisions import collisions
from pipelines.warehouse.tables.structure import Structure
from pipelines.wording import counted

# How many pairs of names a refusal quotes.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Guard:
    """What projects.yaml and the person who started the load allow."""

    project: str
    project_id: int | None
    """The REDCap project that projects.yaml says it is."""
    deletion_limit: float
    allow_deletions: bool
    allow_narrower: bool

    @classmethod
    def of(cls, run: ProjectRun, options: LoadOptions) -> Guard:
        """What holds for one run."""
        return cls(
            project=run.project.name,
            project_id=run.project.project_id,
            deletion_limit=run.config.deletion_limit,
            allow_deletions=options.allow_deletions,
            allow_narrower=options.allow_narrower,
        )

    def check(self, findings: Findings, previous: PreviousLoad) -> None:
        """Raise LoadRefused where applying what was found could destroy good data."""
        self.check_names(findings.layout)
        self.check_visible(findings.layout, previous)
        self.check_group(findings.layout, findings.structure, previous, findings.unlogged_deletions)
        self.check_deletions(len(findings.missing), len(findings.known), len(findings.census.records))

    def check_binding(self, structure: Structure, previous: PreviousLoad) -> None:
        """Whether the token belongs to the project it belonged to, and its records are named as they were."""
        found = structure.project.project_id
        wanted = self.project_id if self.project_id is not None else previous.project_id
        if found is not None and wanted is not None and found != wanted:
            raise LoadRefused(
                project=self.project,
                seen=f"the token belongs to REDCap project {found}, not to {wanted}.",
                kept="Nothing was read from it and the warehouse is as it was.",
                if_meant=(
                    "Check the token; if the study really moved, set project_id in projects.yaml and run "
                    f"`redcap-warehouse sync {self.project} --start-over`, which discards the project's history in the "
                    "warehouse."
                ),
            )
        field_name = structure.record_id_field
        if previous.record_id_field not in (None, field_name):
            raise LoadRefused(
                project=self.project,
                seen=f"the record-id field is now {field_name}, and was {previous.record_id_field}.",
                kept="Every row is named by it, so nothing was changed.",
                if_meant=(
                    f"If it is right, run `redcap-warehouse sync {self.project} --start-over`: it reads everything "
                    "again and discards the project's history in the warehouse."
                ),
            )

    def check_names(self, layout: Layout) -> None:
        """Whether every instrument and every column has a name of its own."""
        found = collisions(layout)
        if not found:
            return
        more = f" (and {len(found) - MOST_NAMED} more)" if len(found) > MOST_NAMED else ""
        raise LoadRefused(
            project=self.project,
            seen=f"some names cannot be distinguished: {'; '.join(found[:MOST_NAMED])}{more}.",
            kept="Nothing was changed.",
            if_meant="Give one of each two another name or code in REDCap, or leave its instrument out with exclude "
            "in projects.yaml.",
        )

    def check_visible(self, layout: Layout, previous: PreviousLoad) -> None:
        """Whether the token sees the fields it saw."""
        hidden = set(layout.hidden_fields)
        lost = [name for name in previous.visible_columns if name in hidden]
        if lost and not self.allow_narrower:
            raise LoadRefused(
                project=self.project,
                seen=f"the token no longer sees {counted(len(lost), 'field')} it saw last time ({_some(lost)}), "
                "though the dictionary still has them: its export rights were lowered.",
                kept="Nothing was changed.",
                if_meant="Ask for the rights back, or run with --allow-narrower to give these columns up.",
            )

    def check_group(
        self, layout: Layout, structure: Structure, previous: PreviousLoad, unexplained: Collection[str] | None
    ) -> None:
        """Whether records are out of sight that nobody deleted.

        A token that was put into a data access group no longer sees the other groups' records. REDCap does not say so;
        but to a token in a group it shows no column of them, and mostly no list either. And where no group can be the
        reason, many records that are gone without a word of the log may still be a server's failure.
        """
        if self.allow_narrower:
            return
        if layout.data_access_groups or not structure.may_have_groups:
            self._check_silence(unexplained)
            return
        if previous.in_group is False:
            seen = "the token may have been put into a data access group: it saw them last time, and does no longer."
        elif unexplained and not self.allow_deletions:
            seen = (
                f"{counted(len(unexplained), 'record is', 'records are')} out of sight, and the log shows no "
                "deletion: the token may have been put into another data access group."
            )
        else:
            return
        raise LoadRefused(
            project=self.project,
            seen=seen,
            kept="No record was deleted here and the published data is as it was.",
            if_meant="Take the token's user out of the group, or run with --allow-narrower to give up what it hides.",
        )

    def _check_silence(self, unexplained: Collection[str] | None) -> None:
        if not unexplained or len(unexplained) <= MOST_ALONE or self.allow_deletions:
            return
        raise LoadRefused(
            project=self.project,
            seen=f"{counted(len(unexplained), 'record is', 'records are')} no longer in REDCap's answers, and its log "
            "shows no deletion.",
            kept="No record was deleted here and the published data is as it was.",
            if_meant="If they were really deleted (deleting an event or arm does not log its records), run with "
            "--allow-deletions; otherwise try again.",
        )

    def check_deletions(self, deleted: int, known: int, census: int) -> None:
        """Whether so many of the known records may be gone, where REDCap lists so many."""
        limit = self.deletion_limit
        if not deleted or self.allow_deletions or known == 0:
            return
        # One or two records of a small project are everyday work, whatever their share.
        if census and (deleted <= 2 or deleted / known <= limit):
            return
        raise LoadRefused(
            project=self.project,
            seen=f"{deleted:,} of {counted(known, 'record')} are no longer in REDCap's answer, more than the "
            f"{limit:.0%} that may go in one night. The token may have been put into a data access group.",
            kept="No record was deleted here and the published data is as it was.",
            if_meant="If they were really deleted, run with --allow-deletions.",
        )


def _some(names: Sequence[str]) -> str:
    """The first five names; an ellipsis only where there are more."""
    return ", ".join([*names[:5], *(["…"] if len(names) > 5 else [])])
