"""What machines that load agree on, in PostgreSQL: versions, locks, the pace. It alone imports psycopg2."""

from pipelines.coordination.checks import Checks
from pipelines.coordination.coordination import Coordination
from pipelines.coordination.lake import LakeCatalog, LakeRecord
from pipelines.coordination.locks import Held, HeldProject, Holder
from pipelines.coordination.runs import LostRun, RunLock
from pipelines.coordination.versions import Forgotten, WorkingVersion

__all__ = [
    "Checks",
    "Coordination",
    "Forgotten",
    "Held",
    "HeldProject",
    "Holder",
    "LakeCatalog",
    "LakeRecord",
    "LostRun",
    "RunLock",
    "WorkingVersion",
]
