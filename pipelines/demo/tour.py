"""The queries that the demo shows, each with the question it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from pipelines.console.tables import answer_table
from pipelines.warehouse.published.query import query
from pipelines.warehouse.store.protocol import PublishedStore


@dataclass(frozen=True, slots=True)
class TourQuery:
    """A question that a data manager asks, and the query that answers it."""

    question: str
    sql: str


TOUR = (
    TourQuery(
        "Who is in the heart study? Labels are in the schema heart_study_labels.",
        "SELECT l.sex, count(*) AS participants, round(avg(e.age)) AS mean_age\n"
        "FROM heart_study.enrolment e JOIN heart_study_labels.enrolment l USING (record_id)\n"
        "GROUP BY l.sex ORDER BY participants DESC",
    ),
    TourQuery(
        "How does blood pressure change over the vaccine trial's visits? Types follow the data dictionary.",
        "SELECT e.position, v.redcap_event_name AS event, count(*) AS measured, round(median(systolic)) AS systolic\n"
        "FROM vaccine_trial.vital_signs v JOIN redcap.events e\n"
        "  ON e.project = 'vaccine_trial' AND e.unique_event_name = v.redcap_event_name\n"
        "WHERE e.arm_num = 1 GROUP BY ALL ORDER BY e.position",
    ),
    TourQuery(
        "Which values did not fit their field? They are kept verbatim in asthma_registry_raw, and listed.",
        "SELECT project, instrument, field, reason, count(*) AS n\n"
        "FROM redcap.invalid_values GROUP BY ALL ORDER BY n DESC, project, field LIMIT 6",
    ),
    TourQuery(
        "How far along is each form of the asthma registry?",
        "SELECT spirometry_complete AS status, count(*) AS forms, count(DISTINCT study_id) AS participants\n"
        "FROM asthma_registry_labels.spirometry GROUP BY ALL ORDER BY forms DESC",
    ),
    TourQuery(
        "Was last night complete? Every chunk is in the ledger: requested, returned, verified.",
        "SELECT project, mode, outcome, records_in_redcap AS in_redcap, records_loaded AS loaded, chunks, requests,\n"
        "       round(seconds, 1) AS seconds\n"
        "FROM redcap.sync_runs ORDER BY project, started_at",
    ),
)


# After the second night.
NEXT_DAY = (
    TourQuery(
        "What did the second night read and find? Its cost depends on what changed.",
        "SELECT project, mode, records_in_redcap AS in_redcap, records_loaded AS read, records_added AS new,\n"
        "       records_changed AS changed, records_deleted AS deleted, records_renamed AS renamed, requests\n"
        "FROM redcap.sync_runs QUALIFY row_number() OVER (PARTITION BY project ORDER BY started_at DESC) = 1\n"
        "ORDER BY project",
    ),
    TourQuery(
        "Which values changed, from what to what, and who changed them?",
        "SELECT record, field, old_value AS before, new_value AS after, change, changed_by AS by, changed_at AS at\n"
        "FROM redcap.record_changes\n"
        "WHERE project = 'heart_study' AND change IN ('update', 'rename')\n"
        "  AND run_id = (SELECT last_run_id FROM redcap.projects WHERE project = 'heart_study')\n"
        "ORDER BY record, field LIMIT 8",
    ),
    TourQuery(
        "What happened to the records that no longer exist?",
        "SELECT record, deleted_at IS NOT NULL AS gone, renamed_to, first_seen FROM redcap.records\n"
        "WHERE project = 'heart_study' AND deleted_at IS NOT NULL",
    ),
    TourQuery(
        "What did the first night load? Every version of every row is kept.",
        "SELECT record_id, town FROM heart_study_history.as_of('enrolment',\n"
        "  (SELECT min(finished_at) FROM redcap.sync_runs WHERE project = 'heart_study'))\n"
        "WHERE record_id IN ('3', '4', '5') ORDER BY record_id",
    ),
    TourQuery(
        "And what changed in the study itself?",
        "SELECT project, change, kind, name FROM redcap.dictionary_changes ORDER BY ALL",
    ),
)


# After cleaned values were written back.
WRITEBACK = (
    TourQuery(
        "What happened to each proposal? A cell that changed since it was read is not overwritten.",
        "SELECT record, field, seen_value AS seen, new_value AS proposed, status, decision_reason AS why\n"
        "FROM writeback.proposals WHERE project = 'heart_study' ORDER BY record",
    ),
    TourQuery(
        "What was sent? The journal is written before each request, and again after the values are read back.",
        "SELECT record, field, before_value AS before, after_value AS after, status, author, reason\n"
        "FROM writeback.journal WHERE project = 'heart_study' ORDER BY record",
    ),
    TourQuery(
        "And the changes of both directions in one view:",
        "SELECT record, field, old_value AS before, new_value AS after, origin, changed_by AS by\n"
        "FROM redcap.record_changes WHERE project = 'heart_study' AND field = 'town' AND change = 'update'\n"
        "ORDER BY detected_at, record",
    ),
)


def tour(console: Console, published: PublishedStore, queries: Sequence[TourQuery]) -> None:
    """Print each question, its query, and the answer of the published warehouse."""
    with published.open() as connection:
        for one in queries:
            console.print()
            console.print(one.question, style="bold", soft_wrap=True)
            console.print(one.sql, style="cyan", markup=False, highlight=False)
            answer_table(console, query(connection, one.sql))
