"""The commands propose, writeback, revert and withdraw.

They print counts and reasons; the values are in schema writeback of the published warehouse. Not here: the work itself
(pipelines.writeback).
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.options import (
    ApplyOption,
    AuthorOption,
    ConfigOption,
    JsonOption,
    MaxCellsOption,
    print_json,
    read_config,
)
from pipelines.wording import counted, printable

if TYPE_CHECKING:
    from pipelines.config.settings import Config, ProjectConfig
    from pipelines.warehouse.tables.writeback import RefusedRow
    from pipelines.writeback import Ignored, Outcome, Plan, ProposalReport, Withdrawn
    from pipelines.writeback.decide.cells import Counts

ProjectArgument = Annotated[str, typer.Argument(help="The project's name in projects.yaml.")]
SHOWN_REFUSALS = 20


def propose(
    project: ProjectArgument,
    file: Annotated[
        Path,
        typer.Argument(help="A .csv or .parquet file, or a .sql file with a query over the published warehouse."),
    ],
    batch: Annotated[
        str | None, typer.Option("--batch", help="Name of the batch (default: a new one, named by the time).")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for rows without a reason.")] = "",
    author: AuthorOption = None,
    instrument: Annotated[
        str | None, typer.Option("--instrument", help="Instrument of an edited table (default: by its columns).")
    ] = None,
    clear_blanks: Annotated[
        bool, typer.Option("--clear-blanks", help="A blank in an edited table erases what REDCap has.")
    ] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", help="When the copy was made, in UTC (default: it is of what is published now)."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose corrected values for REDCap. Nothing is sent: `writeback` plans and applies them.

    The file has one cell per row (record, event, instance, field, seen_value, new_value, clear, reason), or is an
    edited copy of an instrument's table or of REDCap's own export, flat or EAV, of which the cells that differ are
    proposed. Columns that are never written are listed. A file that is not a table throughout is refused, with the
    line; rows that cannot be understood are refused one by one, and the others are kept. The exit code is 0 only if no
    row was refused.
    """
    from pipelines.writeback import Blanks, ProposalOptions, propose_file

    configured, chosen = _project(config, project)
    blanks = Blanks.CLEAR if clear_blanks else Blanks.LEAVE
    wanted = ProposalOptions(batch, author or _user_name(), reason, instrument, blanks, as_of)
    proposed = propose_file(configured, chosen, file, wanted)
    if as_json:
        print_json(asdict(proposed))
    else:
        _show_proposed(proposed)
    if proposed.refused:
        raise typer.Exit(1)


def writeback(
    project: ProjectArgument,
    apply: ApplyOption = False,
    batch: Annotated[str | None, typer.Option("--batch", help="Only this batch (default: all open ones).")] = None,
    max_cells: MaxCellsOption = None,
    new_records: Annotated[
        bool, typer.Option("--new-records", help="Records that REDCap does not have may be created.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Plan what would be written to REDCap, or with --apply write it.

    Each proposed cell is compared with REDCap as it is now: it is written only if it still holds what the cleaner saw.
    What was written is read back. With --apply the exit code is 0 only if every proposal is in REDCap afterwards.
    """
    from pipelines.writeback import WritebackOptions, apply_writeback, plan_writeback, publish_results

    configured, chosen = _project(config, project)
    options = WritebackOptions(batch=batch, max_cells=max_cells, new_records=True if new_records else None)
    act = apply_writeback if apply else plan_writeback
    done = act(configured, chosen, options=options)
    _report(done, published=publish_results(configured, chosen, done), as_json=as_json)


def revert(
    project: ProjectArgument,
    batch: Annotated[str, typer.Argument(help="The batch to undo.")],
    apply: ApplyOption = False,
    max_cells: MaxCellsOption = None,
    author: AuthorOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Plan how a batch's changes would be undone, or with --apply undo them.

    A cell that somebody changed since is a conflict and is not changed.
    """
    from pipelines.writeback import WritebackOptions, publish_results, revert_writeback

    configured, chosen = _project(config, project)
    done = revert_writeback(
        configured,
        chosen,
        batch,
        apply=apply,
        author=author or _user_name(),
        options=WritebackOptions(max_cells=max_cells),
    )
    _report(done, published=publish_results(configured, chosen, done), as_json=as_json)


def withdraw(
    project: ProjectArgument,
    batch: Annotated[str, typer.Argument(help="The batch whose proposals are withdrawn.")],
    record: Annotated[
        list[str] | None,
        typer.Option("--record", help="Only this record's proposals; may be given several times (default: all)."),
    ] = None,
    author: Annotated[str | None, typer.Option("--author", help="Who withdraws (default: your user name).")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw proposals that were not sent, so that no write-back sends them. Nothing is deleted.

    They are kept in writeback.proposals with the status withdrawn. What was sent cannot be
    withdrawn: `revert` undoes it.
    """
    from pipelines.writeback import publish_results
    from pipelines.writeback import withdraw as withdraw_proposals

    configured, chosen = _project(config, project)
    done = withdraw_proposals(configured, chosen, batch, record or (), author=author or _user_name())
    published = publish_results(configured, chosen, done)
    if as_json:
        print_json({**asdict(done), "published": published})
    else:
        _show_withdrawn(done)


def _project(path: Path | None, name: str) -> tuple[Config, ProjectConfig]:
    configured = read_config(path)
    return configured, configured.project(name)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container the user may have no name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else ""


def _report(done: Plan | Outcome, *, published: bool, as_json: bool) -> None:
    from pipelines.writeback import Outcome

    document = _document(done)
    if as_json:
        print_json({**document, "applied": isinstance(done, Outcome), "published": published})
    elif isinstance(done, Outcome):
        _show_outcome(done)
    else:
        _show_plan(done)
    if isinstance(done, Outcome) and not done.complete:
        raise typer.Exit(1)


def _document(done: Plan | Outcome) -> dict[str, Any]:
    """A run as plain values, without the cells, which are data."""
    from dataclasses import fields

    document: dict[str, Any] = {f.name: getattr(done, f.name) for f in fields(done) if f.name != "decided"}
    document["counts"] = asdict(done.counts)
    return document


def _show_proposed(proposed: ProposalReport) -> None:
    typer.echo(
        f"{proposed.project}: {counted(proposed.accepted, 'cell')} proposed from {counted(proposed.rows, 'row')}"
        + (f", {proposed.left} left unchanged" if proposed.left else "")
        + (f", {counted(len(proposed.refused), 'row')} refused" if proposed.refused else "")
        + "."
    )
    _show_ignored(proposed.ignored)
    _show_refusals(proposed.refused)
    for batch in proposed.batches:
        typer.echo(f'Plan it with: redcap-warehouse writeback {proposed.project} --batch "{batch}"')


def _show_ignored(ignored: tuple[Ignored, ...]) -> None:
    for one in ignored:
        edited = f" (edited in {counted(one.edited, 'row')})" if one.edited else ""
        typer.echo(f"  not proposed: {printable(one.column)}{edited}: {one.why}", err=True)


def _show_refusals(refused: tuple[RefusedRow, ...]) -> None:
    for one in refused[:SHOWN_REFUSALS]:
        typer.echo(f"  row {one.row}: {printable(one.why)}", err=True)
    if len(refused) > SHOWN_REFUSALS:
        typer.echo(f"  … and {counted(len(refused) - SHOWN_REFUSALS, 'more row')}; --json lists them all", err=True)


def _show_plan(plan: Plan) -> None:
    _show_counts(plan.project, plan.counts, ("would be written", "already there", "in conflict", "invalid"))
    if plan.counts.write:
        typer.echo(f"{counted(plan.records, 'record')} would be written. Nothing was sent; --apply sends it.")
    if plan.unsettled:
        typer.echo(
            f"{counted(plan.unsettled, 'cell')} of an earlier run not settled yet; --apply reads them back first."
        )
    if plan.refusal:
        typer.echo(f"--apply would be refused. {plan.refusal}", err=True)
    _show_where(plan.batches)


def _show_outcome(outcome: Outcome) -> None:
    counts = outcome.counts
    typer.echo(
        f"{outcome.project}: {counted(outcome.sent, 'cell')} sent, {outcome.confirmed} confirmed, "
        f"{outcome.failed} refused by REDCap, {outcome.not_confirmed} not confirmed; {counts.already_there} already "
        f"there, {counted(counts.conflict, 'conflict')}, {counts.invalid} invalid."
    )
    if outcome.settled:
        typer.echo(f"{counted(outcome.settled, 'cell')} of an earlier run settled first.")
    _show_reasons(counts.reasons)
    _show_reasons(outcome.messages)
    _show_where(outcome.batches)


def _show_withdrawn(done: Withdrawn) -> None:
    typer.echo(f'{done.project}: {counted(done.withdrawn, "proposal")} withdrawn from the batch "{done.batch}".')
    if done.sent:
        typer.echo(f"{counted(done.sent, 'proposal')} sent before: what was sent cannot be withdrawn.")
        typer.echo(f'Plan how to undo it with: redcap-warehouse revert {done.project} "{done.batch}"')
    if done.ended:
        typer.echo(f"{counted(done.ended, 'proposal')} ended before.")


def _show_counts(project: str, counts: Counts, words: tuple[str, str, str, str]) -> None:
    numbers = (counts.write, counts.already_there, counts.conflict, counts.invalid)
    listed = ", ".join(f"{number} {word}" for number, word in zip(numbers, words, strict=True))
    typer.echo(f"{project}: {counted(counts.total, 'cell')} proposed: {listed}.")
    _show_reasons(counts.reasons)
    _show_reasons(counts.warnings)


def _show_reasons(reasons: Mapping[str, int]) -> None:
    for reason, number in reasons.items():
        typer.echo(f"  {number:>6}  {printable(reason)}")


def _show_where(batches: tuple[str, ...]) -> None:
    if batches:
        typer.echo(
            "Cell by cell: redcap-warehouse sql \"SELECT * FROM writeback.proposals WHERE batch = '…'\" "
            "(and writeback.journal for what was sent)."
        )
