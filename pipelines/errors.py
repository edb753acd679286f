"""What can go wrong on our side of the wire, said for the person who has to act.

REDCap's own failures are redcap_source.errors. The tree:

    WarehouseError
    ├── ConfigError            projects.yaml or the environment is wrong
    ├── WarehouseBusy          another process is loading or publishing
    ├── NotAllPublished        some projects could not be shown to readers; the others are
    ├── WarehouseUnreadable    a DuckDB file cannot be opened or written
    │   └── WarehouseDamaged   it is no whole database any more
    ├── UnexpectedDatabaseError  DuckDB reported what nobody foresaw
    ├── NotLoadedYet           nothing has been published
    ├── UnknownRecord          the warehouse never had the record a person asks for
    ├── QueryRefused           DuckDB does not accept a person's query
    ├── LoadRefused            going on could do harm; says which flag to use if it is meant
    │   └── WorkingFileLost    what a project's load goes on from is gone, empty, damaged or another's
    ├── ForeignWorkingFile     a working file is not the one the project was published from
    ├── HashKeyUnusable        the key that identifiers were hashed with is gone or another
    ├── LoadSuperseded         a newer load has begun; this one cannot be gone on with
    ├── LoadUnfinished         the last load did not end well, so it is not published
    ├── NotProposed            what was submitted as proposals cannot be read; pipelines.writeback.errors
    ├── WritebackRefused       sending could do harm; nothing was sent; the same module
    ├── WritebackStopped       a write-back ended in the middle; the same module
    └── VerificationFailed         an answer that does not add up; asked again, never applied
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pipelines.interrupts import INTERRUPTED, was_interrupted

# Where an error goes that this program does not know.
REPORT = (
    "Please report it as an issue of redcap-warehouse, with this message. REDCAP_WAREHOUSE_TRACE=1 shows the "
    "traceback, which may quote participants' data: keep that to yourself."
)


class WarehouseError(Exception):
    """Something the person running the warehouse can act on; str() is the whole message."""


def describe(problem: BaseException) -> str:
    """What a ledger or a log may say of any error.

    Our own messages are given whole. Of other errors only the kind, because their texts may quote data.
    """
    from redcap_source.errors import RedcapError  # with the HTTP library, which no --help waits for

    if was_interrupted(problem):
        return INTERRUPTED
    if isinstance(problem, WarehouseError | RedcapError):
        return str(problem)
    if isinstance(problem, OSError) and problem.strerror:
        # The system's own words quote no data.
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
    """Another process has the file."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            f"{path} is in use by another process, most likely a load that is still running. "
            "Nothing was changed; try again when it has ended."
        )


class WarehouseUnreadable(WarehouseError):
    """A file of the warehouse cannot be opened or written."""

    def __init__(self, *, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{path} cannot be used: {reason}. The published data is as it was. {remedy}")


class WarehouseDamaged(WarehouseUnreadable):
    """A file of the warehouse is not the database it was."""

    def __init__(self, *, path: Path, found: str, remedy: str = "Put it back from a backup.") -> None:
        super().__init__(path=path, reason=f"it is damaged: {found}", remedy=remedy)
        self.path = path
        self.found = found


class UnexpectedDatabaseError(WarehouseError):
    """DuckDB reported an error that this program does not know; its own message may quote data and is not told."""

    def __init__(self, *, path: Path, doing: str, kind: str) -> None:
        super().__init__(
            f"{path}: {doing} failed with an unexpected {kind} of DuckDB. Nothing was written; the published data "
            f"is unchanged. {REPORT}"
        )


class NotAllPublished(WarehouseError):
    """Working files that could not be taken up into the published database."""

    def __init__(self, *, published: Collection[str], failed: Mapping[str, str]) -> None:
        told = "; ".join(f"{project}: {reason}" for project, reason in failed.items())
        others = f" The others are published: {', '.join(published)}." if published else ""
        super().__init__(
            f"some projects could not be published; their previous published data is kept: {told}.{others} Try again; "
            "if it stays so, `redcap-warehouse sync` and `status` say what to do about a project's file."
        )
        self.published = tuple(published)


class NotLoadedYet(WarehouseError):
    """There is no published warehouse."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(f"{path} does not exist yet. Run `redcap-warehouse sync` first.")


class UnknownRecord(WarehouseError):
    """A record that no load ever saw."""

    def __init__(self, *, project: str) -> None:
        super().__init__(
            f"{project}: the warehouse never had a record of this name. Names are compared letter by letter; the table "
            "redcap.records lists them, deleted ones included."
        )


class QueryRefused(WarehouseError):
    """DuckDB does not accept a query someone typed; its message is for them, in their own terminal."""


class LoadRefused(WarehouseError):
    """Applying what was seen could destroy good data."""

    def __init__(self, *, project: str, seen: str, kept: str, if_meant: str) -> None:
        super().__init__(f"{project}: {seen} {kept} {if_meant}")
        self.project = project


class WorkingFileLost(LoadRefused):
    """A project's working file is not there to go on from; it is never taken for a first load."""

    def __init__(self, *, project: str, path: Path, found: str, known: str) -> None:
        super().__init__(
            project=project,
            seen=f"its working file {path} {found}, though {known}. In it were the project's history, and the journal "
            "of what was written back, with its undo.",
            kept="Nothing was changed; the published data is unchanged.",
            if_meant="Put the file back from a backup and load again. Without one, `redcap-warehouse sync "
            f"{project} --start-over` reads everything again and replaces all published data of the project, "
            "including its history and journal. Copy first what you want to keep.",
        )
        self.found = found


class ForeignWorkingFile(WarehouseError):
    """A working file that is not the one a project was published from, nor was begun to take its place."""

    def __init__(self, *, project: str) -> None:
        super().__init__(
            "its working file is not the one it was published from, so publishing it would replace the project's "
            f"history. Put the right file back, or run `redcap-warehouse sync {project} --start-over`"
        )


class HashKeyUnusable(WarehouseError):
    """The key that identifiers are hashed with cannot be used: the same person would get another hash."""

    def __init__(self, *, path: Path, found: str, projects: Collection[str]) -> None:
        hashed = f", and identifiers of {', '.join(projects)} were hashed with it" if projects else ""
        if found == "is another key":
            hashed = f" than the one that identifiers of {', '.join(projects)} were hashed with"
        super().__init__(
            f"{path} {found}{hashed}. Nothing was changed. Put the key back from a backup of the folder. Without one, "
            "remove what is there in its place, and run `redcap-warehouse sync PROJECT --start-over` for every project "
            "that has `identifiers: hash`: this hashes its identifiers with a new key and discards its history."
        )


class LoadSuperseded(WarehouseError):
    """What an interrupted load had fetched is gone."""

    def __init__(self, *, project: str) -> None:
        super().__init__(
            f"{project}: what this run had fetched is gone, most likely because a newer load of the project has begun. "
            "Nothing was changed. Start a new run instead of going on with this one."
        )


class LoadUnfinished(WarehouseError):
    """The project's working file is between two nights."""

    def __init__(self, *, project: str, outcome: str) -> None:
        super().__init__(
            f"{project}: its last load did not end well ({outcome}), so it is not published; the published data is as "
            "it was. Load the project's records again."
        )


class VerificationFailed(WarehouseError):
    """An answer does not add up; it is never applied."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(f"the answer does not add up: {reason}")
        self.reason = reason
