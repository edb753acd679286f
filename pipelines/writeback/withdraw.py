"""Withdraws proposals that should not be sent any more: a batch, or some records of it.

They are kept in writeback.proposals with the status `withdrawn`. REDCap is not asked, and nothing is sent. What was
sent cannot be withdrawn, only undone (revert.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import Now, ProjectRun, new_run_id, utc_now
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.mirror.proposals import Proposals
from pipelines.warehouse.mirror.withdrawal import (
    ProposalCounts,
    count_proposals,
    records_with_proposals,
    withdraw_open,
)
from pipelines.warehouse.published.query import is_published
from pipelines.wording import counted
from pipelines.writeback.errors import WritebackRefused

KEPT = "Nothing was withdrawn."


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal did, in counts."""

    project: str
    batch: str
    withdrawn: int
    """Proposals that will not be sent."""
    sent: int
    """Sent before, or perhaps sent by a run that was killed; these are unchanged."""
    ended: int
    """Ended before: already there, invalid, rejected by REDCap, superseded or withdrawn."""
    run_id: str
    to_publish: bool = False
    """Whether readers may see it now: the load it builds on is published."""


def withdraw(
    config: Config,
    project: ProjectConfig,
    batch: str,
    records: Sequence[str] = (),
    *,
    author: str = "",
    now: Now = utc_now,
) -> Withdrawn:
    """Withdraw the proposals of a batch that were not sent; only those of some records if any are named.

    `publish_results` publishes it. Raises WritebackRefused, and changes nothing, if the batch does not exist, if a
    named record has no proposal in it, or if nothing is left to withdraw.
    """
    name, run_id = project.name, new_run_id(now)
    with ProjectRun(config, project, run_id=run_id, now=now) as run:
        if not run.store.mirrors.exists(name):
            raise _refused(name, "the project has never been loaded, so there are no proposals.", "")
        found, published = _withdraw(run, batch, records, author)
    return Withdrawn(name, batch, found.open, found.sent, found.ended, run_id, published)


def _withdraw(run: ProjectRun, batch: str, records: Sequence[str], author: str) -> tuple[ProposalCounts, bool]:
    """Withdraw in the mirror; returns what was found there, and whether readers may see it now."""
    name = run.project.name
    with run.mirror() as mirror:
        _check_names(Proposals(mirror.connection, name), mirror.connection, name, batch, records)
        with mirror.transaction():
            found = count_proposals(mirror.connection, batch, records)
            if not found.open:
                raise _nothing_left(name, batch, found)
            withdraw_open(mirror.connection, batch, records, author=author, now=run.now())
        last = mirror.runs.last_load()
        return found, last is not None and is_published(run.store, name, last.run_id)


def _check_names(
    proposals: Proposals, connection: Connection, project: str, batch: str, records: Sequence[str]
) -> None:
    names = proposals.batch_names()
    if batch not in names:
        latest = ", ".join(names[-5:]) or "none"
        raise _refused(project, f"there is no batch {batch}. The latest are: {latest}.", "Name one of these.")
    named = len(set(records))
    without = named - records_with_proposals(connection, batch, records)
    if without:
        # Record ids identify participants and are not repeated.
        raise _refused(
            project,
            f"the batch {batch} has no proposal for {without:,} of the {counted(named, 'record')} that you named.",
            "writeback.proposals lists the proposals; record ids are compared letter by letter.",
        )


def _nothing_left(project: str, batch: str, found: ProposalCounts) -> WritebackRefused:
    if found.sent:
        return _refused(
            project,
            f"what was proposed in the batch {batch} has been sent already ({counted(found.sent, 'cell')}), and "
            "what was sent cannot be withdrawn.",
            f'`redcap-warehouse revert {project} "{batch}"` plans how to undo it.',
        )
    return _refused(
        project,
        f"nothing is left to withdraw in the batch {batch}: {counted(found.ended, 'proposal')} ended before.",
        "The column status of writeback.proposals says how.",
    )


def _refused(project: str, problem: str, remedy: str) -> WritebackRefused:
    return WritebackRefused(project=project, problem=problem, remedy=remedy, kept=KEPT)
