"""Write-back: cleaned values return to REDCap, compared before, read back after, and accounted for.

    from pipelines.writeback import WritebackOptions, apply_writeback, plan_writeback, propose_frame

    propose_frame(config, project, frame, Wanted(batch="weights", author="rw", reason="kg, not lb"))
    plan = plan_writeback(config, project)           # nothing is sent
    outcome = apply_writeback(config, project)       # counts only; the cells are in schema writeback
    withdraw(config, project, "weights", ["12"])     # what was not sent is taken back

values.py     spelling, and when two spellings are one value
record_ids.py record ids that REDCap may take for one another
rules.py      what may be written where
decide.py     write, already there, conflict or invalid
batches.py    requests, and how a refused one is split
proposals/    reading files, queries and frames as proposals
exports.py    asking REDCap for some records and fields
live.py       reading exactly the cells in question
propose.py    storing proposals
shell.py      plan, apply, revert
withdraw.py   taking proposals back
"""

from pipelines.writeback.apply import apply_writeback, show
from pipelines.writeback.decide.decide import Counts
from pipelines.writeback.errors import NotProposed, WritebackRefused, WritebackStopped
from pipelines.writeback.plan import plan_writeback
from pipelines.writeback.proposals.propose import Proposed, propose_file, propose_frame, propose_query, propose_rows
from pipelines.writeback.proposals.table import Blanks, Ignored, Wanted
from pipelines.writeback.report import Outcome, Plan, WritebackOptions
from pipelines.writeback.revert import revert_writeback
from pipelines.writeback.withdraw import Withdrawn, withdraw

__all__ = [
    "Blanks",
    "Counts",
    "Ignored",
    "NotProposed",
    "Outcome",
    "Plan",
    "Proposed",
    "Wanted",
    "Withdrawn",
    "WritebackOptions",
    "WritebackRefused",
    "WritebackStopped",
    "apply_writeback",
    "plan_writeback",
    "propose_file",
    "propose_frame",
    "propose_query",
    "propose_rows",
    "revert_writeback",
    "show",
    "withdraw",
]
