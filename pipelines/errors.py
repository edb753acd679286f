"""What a user of the warehouse can act on: each error says what happened, what was kept, and what to do.

REDCap's own failures are redcap_source.errors. The tree:

    WarehouseError
    ├── ConfigError            projects.yaml or the environment is wrong
    ├── WarehouseBusy          another process is loading or publishing
    │   └── ProjectHeld        another machine or process holds a project in PostgreSQL
    ├── CoordinationUnavailable  the store's PostgreSQL does not answer, or refuses
    ├── CoordinationError      it reported an error that this program does not know
    ├── HoldLost               PostgreSQL ended the session that held a lock
    ├── MovedAway              the warehouse was moved to another place, or is being moved
    ├── Superseded             another load of the project was checked in first
    ├── NotAllPublished        some projects could not be published; the others are
    ├── WarehouseUnreadable    a DuckDB file cannot be opened or written
    │   └── WarehouseDamaged   it is no longer a complete database
    ├── UnexpectedDatabaseError  DuckDB reported an error that this program does not know
    ├── ExtensionUnusable      an extension of DuckDB is not installed, or is for another version
    ├── UnknownCopy            a mirror on this machine was not checked out of the shared place (pipelines.store_errors)
    ├── MoveRefused            the warehouse cannot be moved as it is (the same module)
    ├── SharedPlaceUnusable    the place that all machines share cannot be read or written (the same module)
    ├── LakeUnusable           the published DuckLake cannot be reached, read or written
    ├── NotLoadedYet           nothing has been published
    ├── UnknownRecord          the warehouse never had the record that a person asks for
    ├── QueryRefused           DuckDB does not accept a person's query
    ├── LoadRefused            the load could destroy good data; names the option that allows it
    │   └── MirrorLost         a project's mirror is missing, empty, damaged or another project's
    ├── ForeignMirror          a mirror is not the one that the project was published from
    ├── HashKeyUnusable        the key that identifiers were hashed with is missing or has changed
    ├── LoadSuperseded         a newer load has started; this one cannot be continued
    ├── LoadOfAnotherVersion   an interrupted load was begun by another version; it cannot be continued
    ├── LoadUnfinished         the last load failed, so it is not published
    ├── NotProposed            proposals cannot be read (pipelines.writeback.errors)
    ├── WritebackRefused       writing could do harm; nothing was sent (the same module)
    ├── WritebackStopped       a write-back ended before it was complete (the same module)
    └── VerificationFailed     an answer is inconsistent; it is requested again, never applied
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path

from pipelines.interrupts import INTERRUPTED, was_interrupted

# The name of the published database; no project's mirror can have it (pipelines.project_names).
PUBLISHED = "warehouse.duckdb"
# For errors that this program does not know.
REPORT = (
    "Please report it as an issue of redcap-warehouse, with this message. REDCAP_WAREHOUSE_TRACE=1 shows the "
    "traceback, which may quote participants' data: do not send it."
)


class WarehouseError(Exception):
    """Something that the person running the warehouse can act on; str() is the whole message."""


def describe(problem: BaseException) -> str:
    """What a ledger or a log may say of any error.

    Messages of this program are returned whole; of other errors only the kind, because their texts may quote data.
    """
    from redcap_source.errors import RedcapError  # with the HTTP library, which no --help waits for

    if was_interrupted(problem):
        return INTERRUPTED
    if isinstance(problem, WarehouseError | RedcapError):
        return str(problem)
    if isinstance(problem, OSError) and problem.strerror:
        # The system's own messages quote no data.
        return f"{problem.strerror}."
    return f"{type(problem).__name__}."


class ConfigError(WarehouseError):
    """The configuration cannot be used."""

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        parts = [f"{where}: {problem}" if where else problem]
        if remedy:
            parts.append(remedy)
        super().__init__(" ".join(parts))


class WarehouseBusy(WarehouseError):
    """Another process uses the file."""

    def __init__(self, *, path: Path | str) -> None:
        super().__init__(
            f"{path} is in use by another process, most likely a load that is still running. "
            "Nothing was changed. Try again when it has ended."
        )


class ProjectHeld(WarehouseBusy):
    """Another machine or process is loading the project."""

    def __init__(self, *, project: str, loader: str | None, run: str | None, since: datetime | None) -> None:
        """`loader` is host and process; None where the holder had not yet written who it is."""
        by = f" by {loader} (run {run}, since {since:%Y-%m-%d %H:%M:%S} UTC)" if loader and run and since else ""
        WarehouseError.__init__(
            self, f"{project} is in use{by}. Nothing was changed. Try again when that run has ended."
        )
        self.project, self.loader, self.run, self.since = project, loader, run, since


class CoordinationUnavailable(WarehouseError):
    """The PostgreSQL in which machines agree cannot be used."""

    def __init__(self, *, reason: str, tried: float | None) -> None:
        """`tried` is for how many seconds; None where waiting does not help."""
        remedy = "Correct the URL of the store's PostgreSQL, or its settings."
        if tried is not None:
            remedy = f"It was tried for {tried:g} s. Try again when PostgreSQL answers."
        super().__init__(
            f"the store's PostgreSQL cannot be used: {reason}. What was published and checked in before stays. {remedy}"
        )
        self.reason = reason


class CoordinationError(WarehouseError):
    """PostgreSQL reported an error that this program does not know; its message may quote data and is left out."""

    def __init__(self, *, kind: str, code: str) -> None:
        super().__init__(
            f"the store's PostgreSQL reported an unexpected {kind} ({code}). What was published and checked in before "
            f"stays. {REPORT}"
        )


class HoldLost(WarehouseError):
    """This process no longer holds a lock that its work needs."""

    def __init__(self, *, what: str) -> None:
        super().__init__(
            f"{what}: PostgreSQL has ended the session that kept others out, so that another machine may have begun. "
            "This run stops here; nothing more of it is checked in or published. Run it again."
        )


class Superseded(WarehouseError):
    """A load began with a version of the mirror that is no longer the newest."""

    def __init__(self, *, project: str, after: int, newest: int) -> None:
        began = f"version {after} of the mirror" if after else "no mirror"
        super().__init__(
            f"{project}: this load began with {began}, and version {newest} was checked in meanwhile. What this load "
            "did is not kept and not published; the newer version is unchanged. Load the project again."
        )
        self.project, self.after, self.newest = project, after, newest


class WarehouseUnreadable(WarehouseError):
    """A file of the warehouse cannot be opened or written."""

    def __init__(self, *, path: Path, reason: str, remedy: str, kept: str = "The published data is unchanged.") -> None:
        super().__init__(f"{path} cannot be used: {reason}. {kept} {remedy}")


class WarehouseDamaged(WarehouseUnreadable):
    """A file of the warehouse is no longer a complete database."""

    def __init__(self, *, path: Path, found: str) -> None:
        reason = f"it is damaged: {found}"
        if path.name == PUBLISHED:
            super().__init__(
                path=path,
                reason=reason,
                kept="The projects' mirrors were not changed by this.",
                remedy="Run `redcap-warehouse publish`, which makes it again from the mirrors.",
            )
        else:
            super().__init__(path=path, reason=reason, remedy="Restore it from a backup.")
        self.path = path
        self.found = found


class UnexpectedDatabaseError(WarehouseError):
    """DuckDB reported an error that this program does not know; its message may quote data and is left out."""

    def __init__(self, *, path: Path, doing: str, kind: str) -> None:
        super().__init__(
            f"{path}: {doing} failed with an unexpected {kind} of DuckDB. Nothing was written, and the published "
            f"data is unchanged. {REPORT}"
        )


class ExtensionUnusable(WarehouseError):
    """An extension of DuckDB that the store needs is not installed, or is one for another version of DuckDB."""

    def __init__(self, *, name: str, extra: str, running: str, installed: Collection[str]) -> None:
        found = f"DuckDB's extension {name} is not installed"
        if installed:
            found = (
                f"DuckDB's extension {name} is installed for DuckDB {', '.join(installed)} only, and this is "
                f"DuckDB {running}"
            )
        super().__init__(
            f"{found}. Nothing was changed. Install the extra `{extra}` of redcap-warehouse in the environment that it "
            "runs in: it brings the extension and the version of DuckDB that it fits."
        )


class LakeUnusable(WarehouseError):
    """The published DuckLake cannot be reached, read or written."""

    def __init__(self, *, doing: str, reason: str) -> None:
        super().__init__(
            f"the published DuckLake cannot be used: {doing} failed ({reason}). What was published before is "
            "unchanged. Fix the cause, then try again."
        )
        self.reason = reason


class NotProven(WarehouseError):
    """What was written into the published database differs from the mirror."""

    def __init__(self, *, project: str, instrument: str, what: str) -> None:
        where = f"the instrument {instrument} of {project}" if instrument else project
        super().__init__(f"after publishing, the {what} of {where} differ from its mirror")


class MovedAway(WarehouseError):
    """The warehouse is not here any more, or is being moved."""

    def __init__(self, *, what: str, done: str, place: str, since: datetime, remedy: str) -> None:
        """`done` is moved out, moving in or moving out; `place` is the other place, `remedy` how to use that."""
        if done == "moved out":
            super().__init__(
                f"the warehouse was moved from {what} to {place} on {since:%Y-%m-%d %H:%M} UTC. Nothing was changed "
                f"here. {remedy} `redcap-warehouse move-store --help` says how to move it back."
            )
        else:
            way = "into" if done == "moving in" else "out of"
            super().__init__(
                f"the warehouse is being moved {way} {what} since {since:%Y-%m-%d %H:%M} UTC; the other place is "
                f"{place}. Nothing was changed. Try again when that has ended. If it was interrupted, repeat the same "
                "`redcap-warehouse move-store`, with the same projects.yaml."
            )


class NotAllPublished(WarehouseError):
    """Projects whose mirrors could not be copied into the published database."""

    def __init__(
        self,
        *,
        published: Collection[str],
        failed: Mapping[str, str],
        left_out: Mapping[str, str] | None = None,
        rebuilt: str | None = None,
    ) -> None:
        """`failed` and `left_out`, which the file lacks since it was made anew, name projects and reasons.

        `rebuilt` says why it was made anew.
        """
        left_out = left_out or {}
        reasons = "; ".join(f"{project}: {reason.rstrip('.')}" for project, reason in failed.items())
        others = f" The others are published: {', '.join(published)}." if published else ""
        kept = "their previous published data is kept"
        if rebuilt:
            kept = f"the published database was made again ({rebuilt}), and lacks {', '.join(left_out) or 'none'}"
        super().__init__(
            f"some projects could not be published; {kept}: {reasons}.{others} Try "
            "again; if it fails again, `redcap-warehouse sync` and `status` say what to do about a project's file."
        )
        self.published = tuple(published)
        self.failed = dict(failed)
        self.left_out = dict(left_out)
        self.rebuilt = rebuilt


class NotLoadedYet(WarehouseError):
    """There is no published warehouse."""

    def __init__(self, *, path: Path | str) -> None:
        super().__init__(f"{path} does not exist yet. Run `redcap-warehouse sync` first.")


class UnknownRecord(WarehouseError):
    """A record that no load has found."""

    def __init__(self, *, project: str) -> None:
        super().__init__(
            f"{project}: the warehouse never had a record with this id. Ids are compared letter by letter; the table "
            "redcap.records lists them, deleted ones included."
        )


class QueryRefused(WarehouseError):
    """DuckDB does not accept a person's query; its message is for them, in their own terminal."""


class LoadRefused(WarehouseError):
    """Applying what was found could destroy good data."""

    def __init__(self, *, project: str, problem: str, kept: str, remedy: str) -> None:
        super().__init__(f"{project}: {problem} {kept} {remedy}")
        self.project = project


class MirrorLost(LoadRefused):
    """A project's mirror cannot be continued; this is never treated as a first load."""

    def __init__(self, *, project: str, path: Path | str, found: str, known: str) -> None:
        super().__init__(
            project=project,
            problem=f"its mirror {path} {found}, though {known}. It held the project's history, and the journal "
            "of what was written back, which undoing needs.",
            kept="Nothing was changed, and the published data is unchanged.",
            remedy="Restore the file from a backup and load again. Without one, `redcap-warehouse sync "
            f"{project} --start-over` reads everything again and replaces all published data of the project, "
            "including its history and journal. First copy what you want to keep.",
        )
        self.found = found


class ForeignMirror(WarehouseError):
    """A mirror that is not the one its project was published from, and was not started to replace it."""

    def __init__(self, *, project: str) -> None:
        super().__init__(
            "its mirror is not the one it was published from, so publishing it would replace the project's "
            f"history. Restore the right file, or run `redcap-warehouse sync {project} --start-over`"
        )


class HashKeyUnusable(WarehouseError):
    """The key that identifiers are hashed with cannot be used: the same value would get another hash."""

    def __init__(self, *, path: Path | str, found: str, projects: Collection[str]) -> None:
        hashed = f", and identifiers of {', '.join(projects)} were hashed with it" if projects else ""
        if found == "is another key":
            hashed = f" than the one that identifiers of {', '.join(projects)} were hashed with"
        super().__init__(
            f"{path} {found}{hashed}. Nothing was changed. Restore the key from a backup of the folder. Without one, "
            "remove that file, if there is one, and run `redcap-warehouse sync PROJECT --start-over` for every project "
            "that has `identifiers: hash`: this hashes its identifiers with a new key and discards its history."
        )


class LoadSuperseded(WarehouseError):
    """The files that an interrupted load had fetched no longer exist, or are older than a newer load."""

    def __init__(self, *, project: str) -> None:
        super().__init__(
            f"{project}: the files fetched by this run no longer exist or are out of date, most likely because a newer "
            "load of this project has started. Nothing was changed. Start a new run instead of continuing this one."
        )


class LoadOfAnotherVersion(WarehouseError):
    """The files that an interrupted load had written cannot be read by this version of the program."""

    def __init__(self, *, project: str) -> None:
        super().__init__(
            f"{project}: the files of this run were written by another version of redcap-warehouse. Nothing was "
            "changed. Start a new run instead of continuing this one."
        )


class LoadUnfinished(WarehouseError):
    """The last load left the project's mirror between two states."""

    def __init__(self, *, project: str, outcome: str) -> None:
        super().__init__(
            f"{project}: its last load did not succeed ({outcome}), so it is not published. The published data is "
            "unchanged. Load the project's records again."
        )


class VerificationFailed(WarehouseError):
    """An answer is inconsistent; it is never applied."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(f"the answer is inconsistent: {reason}")
        self.reason = reason
