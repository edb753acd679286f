"""Write-back: sends cleaned values to REDCap. Each cell is compared before, read back after, and recorded.

    from pipelines.writeback import ProposalOptions, apply_writeback, plan_writeback, propose_frame

    propose_frame(config, project, frame, ProposalOptions(batch="weights", author="rw", reason="kg, not lb"))
    plan = plan_writeback(config, project)           # nothing is sent
    outcome = apply_writeback(config, project)       # counts only; the cells are in schema writeback
    withdraw(config, project, "weights", ["12"])     # withdraw what was not sent

proposals/         reads files, queries and frames as proposals, and stores them
plan.py            decides about every open proposal; sends nothing
apply.py           decides, sends, reads back and records
revert.py          undoes a batch
withdraw.py        withdraws proposals
publishing.py      publishes what these recorded
session.py         what is open during a run
guards.py          what a run refuses before anything is sent
project_rules.py   the rules of a project's present structure
current_values.py  reads exactly the cells in question
exports.py         exports named records
decide/            which cells may be written, and what to do about each; pure
send/              sends, reads back and refreshes the mirror
report.py          options and results
"""

from pipelines.writeback.apply import apply_writeback
from pipelines.writeback.decide.cells import Counts
from pipelines.writeback.errors import NotProposed, WritebackRefused, WritebackStopped
from pipelines.writeback.plan import plan_writeback
from pipelines.writeback.proposals.propose import (
    ProposalReport,
    propose_file,
    propose_frame,
    propose_query,
    propose_rows,
)
from pipelines.writeback.proposals.table import Blanks, Ignored, ProposalOptions
from pipelines.writeback.publishing import publish_results
from pipelines.writeback.report import Outcome, Plan, WritebackOptions
from pipelines.writeback.revert import revert_writeback
from pipelines.writeback.withdraw import Withdrawn, withdraw

# Earlier names, kept for callers.
Wanted, Proposed, show = ProposalOptions, ProposalReport, publish_results

__all__ = [
    "Blanks",
    "Counts",
    "Ignored",
    "NotProposed",
    "Outcome",
    "Plan",
    "ProposalOptions",
    "ProposalReport",
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
    "publish_results",
    "revert_writeback",
    "show",
    "withdraw",
]
