"""Take proposals back that nobody wants sent any more: a batch, or some records of it.

They stay in writeback.proposals, with the status `withdrawn`. REDCap is not asked, and nothing is sent. What was sent
cannot be withdrawn, only undone: that is revert, in shell.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.config.settings import Config, ProjectConfig
from pipelines.run import Now, ProjectRun, new_run_id, utc_now
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.mirror.journal import Journal
from pipelines.warehouse.mirror.withdrawal import Standing, records_with_proposals, standing, withdraw_open
from pipelines.warehouse.published.query import is_published
from pipelines.wording import counted
from pipelines.writeback.errors import WritebackRefused

KEPT = "Nothing was withdrawn."


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What became of the proposals that were to be withdrawn, in counts."""

    project: str
    batch: str
    withdrawn: int
    """Proposals that will not be sent."""
    sent: int
    """Those that were sent before, or may have been by a run that died; they stay as they are."""
    ended: int
    """Those that had ended: there already, invalid, refused by REDCap, superseded, or withdrawn before."""
    run_id: str
    to_publish: bool = False
    """Whether it may be shown to readers now: the load it builds on is published."""


def withdraw(
    config: Config,
    project: ProjectConfig,
    batch: str,
    records: Sequence[str] = (),
    *,
    author: str = "",
    now: Now = utc_now,
) -> Withdrawn:
    """Take back the proposals of a batch that were not sent, of some records only where any are named.

    `show` publishes it. Raises WritebackRefused, and changes nothing, where the batch is not known, where a record that
    is named has no proposal in it, and where nothing is left to withdraw.
    """
    name, run_id = project.name, new_run_id(now)
    if not WarehouseFolder(config.warehouse).mirror(name).exists():
        raise _refused(name, "the project has never been loaded, so there are no proposals.", "")
    run = ProjectRun(config, project, run_id=run_id, now=now)
    with run.mirror() as mirror:
        journal = Journal(mirror.connection, name)
        _check_names(journal, mirror.connection, name, batch, records)
        with mirror.transaction():
            found = standing(mirror.connection, batch, records)
            if not found.open:
                raise _nothing_left(name, batch, found)
            withdraw_open(mirror.connection, batch, records, author=author, now=now())
        last = journal.last_load()
        published = last is not None and is_published(run.folder, name, last.run_id)
    return Withdrawn(name, batch, found.open, found.sent, found.ended, run_id, published)


def _check_names(journal: Journal, connection: Connection, project: str, batch: str, records: Sequence[str]) -> None:
    names = [row.batch for row in journal.batches()]
    if batch not in names:
        latest = ", ".join(names[-5:]) or "none"
        raise _refused(project, f"there is no batch {batch}. The latest are: {latest}.", "Name one of these.")
    asked = len(set(records))
    without = asked - records_with_proposals(connection, batch, records)
    if without:
        # The records themselves are participants' and are not repeated.
        raise _refused(
            project,
            f"the batch {batch} has no proposal for {without:,} of the {counted(asked, 'record')} that you named.",
            "writeback.proposals lists the proposals; record ids are compared letter by letter.",
        )


def _nothing_left(project: str, batch: str, found: Standing) -> WritebackRefused:
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


def _refused(project: str, seen: str, if_meant: str) -> WritebackRefused:
    return WritebackRefused(project=project, seen=seen, if_meant=if_meant, kept=KEPT)
