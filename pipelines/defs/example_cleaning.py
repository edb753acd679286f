"""An example of cleaning with pandas, for the demo: read published values, correct them, propose what differs.

Not here: the asset around it (writeback.py).
"""

from __future__ import annotations

from pathlib import Path

from pipelines.config.settings import Config
from pipelines.store import open_store
from pipelines.warehouse.published.query import query
from pipelines.writeback import ProposalOptions, ProposalReport, propose_frame

PROJECT = "heart_study"
NAME = "tidy_towns"
# A missing-data code is not a town.
TOWNS = """
SELECT record_id AS record, town AS seen_value FROM heart_study_raw.enrolment
WHERE town NOT IN (
    SELECT trim(split_part(unnest(string_split(missing_data_codes, '|')), ',', 1))
    FROM redcap.projects WHERE project = 'heart_study'
)
"""


def demo_mark(warehouse: Path) -> Path:
    """A file that marks a warehouse that the demo created and may remove."""
    return warehouse / ".demo"


def is_example(config: Config) -> bool:
    """Whether the example has something to clean: only in the demo's warehouse."""
    return PROJECT in config.projects and demo_mark(config.warehouse).exists()


def propose_tidy_towns(config: Config, project: str, batch: str) -> ProposalReport:
    """Propose town names without stray blanks and with capitals; other projects have nothing to clean."""
    import pandas as pd

    if project != PROJECT:
        return ProposalReport(project=project, batches=(), rows=0, accepted=0, left=0, refused=())
    with open_store(config) as store, store.published.open() as connection:
        answer = query(connection, TOWNS)
    towns = pd.DataFrame(answer.rows, columns=list(answer.columns), dtype=str)
    towns["field"] = "town"
    towns["new_value"] = towns["seen_value"].str.split().str.join(" ").str.title()
    untidy = towns[towns["new_value"] != towns["seen_value"]]
    wanted = ProposalOptions(batch=batch, author=NAME, reason="stray blanks and capitals")
    return propose_frame(config, config.project(project), untidy, wanted, source=f"asset redcap/{NAME}")
