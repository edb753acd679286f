"""The modules that guard data, and the tests that cover each, those that tell soonest first."""

from __future__ import annotations

CLIENT = (
    "tests/redcap_source/test_client.py",
    "tests/redcap_source/methods/test_reads.py",
    "tests/contract/test_client_against_simulator.py",
)
LOADING = ("tests/sync/test_load.py", "tests/sync/test_incremental.py")
WRITING = ("tests/writeback/test_writeback.py", "tests/writeback/test_faults.py")
# All that is left, for those that the others do not notice.
ALL_OF_THE_CLIENT = ("tests/redcap_source",)
ALL_OF_LOADING = ("tests/end_to_end", "tests/sync", "tests/extract", "tests/config", "tests/warehouse", "tests/cli")
ALL_OF_WRITING = ("tests/writeback",)

# Source -> the tests made for it; what covers its area follows (see `covering`).
TARGETS: dict[str, tuple[str, ...]] = {
    "redcap_source/protocol/response_errors.py": (
        "tests/redcap_source/protocol/test_response_errors.py",
        "tests/redcap_source/http/test_timeouts.py",
    ),
    "redcap_source/protocol/completeness.py": (
        "tests/redcap_source/protocol/test_json_stream.py",
        "tests/redcap_source/protocol/test_request.py",
        "tests/redcap_source/http/test_timeouts.py",
    ),
    "redcap_source/protocol/content_encoding.py": (
        "tests/redcap_source/protocol/test_content_encoding.py",
        "tests/redcap_source/http/test_timeouts.py",
    ),
    "redcap_source/http/timeouts.py": ("tests/redcap_source/http/test_timeouts.py",),
    "redcap_source/protocol/error_texts.py": ("tests/redcap_source/protocol/test_response_errors.py",),
    "redcap_source/http/connection.py": (
        "tests/redcap_source/http/test_timeouts.py",
        "tests/redcap_source/http/test_certificates.py",
    ),
    "redcap_source/http/addresses.py": ("tests/redcap_source/http/test_timeouts.py",),
    "redcap_source/http/failures.py": (
        "tests/redcap_source/http/test_timeouts.py",
        "tests/redcap_source/http/test_certificates.py",
    ),
    "redcap_source/http/session.py": ("tests/redcap_source/test_client.py",),
    "redcap_source/http/sinks.py": (
        "tests/redcap_source/http/test_timeouts.py",
        "tests/redcap_source/http/test_downloads.py",
    ),
    "redcap_source/protocol/json_stream.py": ("tests/redcap_source/protocol/test_json_stream.py",),
    "redcap_source/log/changes.py": ("tests/redcap_source/log/test_changes.py",),
    "redcap_source/log/clock.py": ("tests/redcap_source/log/test_clock.py",),
    "redcap_source/dictionary/columns.py": ("tests/redcap_source/dictionary/test_dictionary.py",),
    "redcap_source/dictionary/kinds.py": ("tests/redcap_source/dictionary/test_dictionary.py",),
    "redcap_source/dictionary/choices.py": ("tests/redcap_source/dictionary/test_dictionary.py",),
    "redcap_source/dictionary/validation.py": ("tests/redcap_source/dictionary/test_dictionary.py",),
    "redcap_source/http/retry.py": ("tests/redcap_source/http/test_retry.py",),
    "redcap_source/protocol/redaction.py": (
        "tests/redcap_source/protocol/test_redaction.py",
        "tests/redcap_source/test_privacy.py",
    ),
    "pipelines/extract/change_detection.py": ("tests/extract/test_server_time.py",),
    "pipelines/extract/planner.py": ("tests/extract/test_planner.py", "tests/extract/test_scopes.py"),
    "pipelines/extract/scopes.py": ("tests/extract/test_scopes.py",),
    "pipelines/extract/missing_records.py": ("tests/extract/test_missing_records.py",),
    "pipelines/sync/guards.py": ("tests/sync/test_guards.py", "tests/extract/test_missing_records.py"),
    "pipelines/extract/fetcher.py": (
        "tests/extract/test_fetcher.py",
        "tests/extract/test_missing_records.py",
        "tests/extract/test_undesignated.py",
    ),
    "pipelines/extract/undesignated.py": ("tests/extract/test_undesignated.py",),
    "pipelines/extract/request_queue.py": ("tests/extract/test_request_queue.py",),
    "pipelines/extract/chunk_verification.py": (
        "tests/extract/test_chunk_verification.py",
        "tests/extract/test_missing_records.py",
    ),
    "pipelines/extract/chunks.py": ("tests/extract/test_missing_records.py",),
    "pipelines/extract/selection.py": ("tests/extract/test_selection.py",),
    "pipelines/extract/log_reading.py": ("tests/extract/test_log_reading.py",),
    "pipelines/extract/server_time.py": ("tests/extract/test_server_time.py",),
    "pipelines/sync/load.py": ("tests/sync/test_load.py",),
    "pipelines/sync/prepare.py": ("tests/sync/test_load.py",),
    "pipelines/sync/load_clock.py": ("tests/sync/test_load_clock.py", "tests/extract/test_server_time.py"),
    "pipelines/sync/fetch.py": ("tests/extract/test_scopes.py",),
    "pipelines/sync/apply.py": ("tests/sync/test_load.py", "tests/sync/test_incremental.py"),
    "pipelines/sync/finish.py": ("tests/sync/test_load.py",),
    "pipelines/sync/recording.py": ("tests/sync/test_load.py",),
    "pipelines/run.py": ("tests/sync/test_load.py",),
    "pipelines/sync/reports.py": ("tests/sync/test_load.py",),
    "pipelines/sync/plan.py": ("tests/sync/test_work_plan.py",),
    "pipelines/sync/handoff.py": ("tests/sync/test_load.py",),
    "pipelines/warehouse/mirror/rows/merge.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/database/rows.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/mirror/rows/merge_instrument.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/mirror/rows/batch.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/staging/verify.py": ("tests/warehouse/staging/test_verify.py",),
    "pipelines/warehouse/staging/answers.py": ("tests/warehouse/staging/test_verify.py",),
    "pipelines/warehouse/staging/split_json.py": ("tests/warehouse/staging/test_verify.py",),
    "pipelines/warehouse/staging/census.py": ("tests/warehouse/staging/test_census.py",),
    "pipelines/warehouse/mirror/rows/deletions.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/mirror/rows/invalid_values.py": (
        "tests/warehouse/mirror/test_invalid_values.py",
        "tests/warehouse/mirror/test_merge.py",
    ),
    "pipelines/warehouse/tables/value_checks.py": (
        "tests/warehouse/tables/test_types.py",
        "tests/warehouse/mirror/test_invalid_values.py",
    ),
    "pipelines/warehouse/tables/name_collisions.py": ("tests/warehouse/tables/test_name_collisions.py",),
    "pipelines/warehouse/tables/choice_checks.py": ("tests/warehouse/mirror/test_invalid_values.py",),
    "pipelines/warehouse/staging/column_groups.py": ("tests/warehouse/staging/test_column_groups.py",),
    "pipelines/warehouse/tables/types.py": ("tests/warehouse/tables/test_types.py",),
    "pipelines/warehouse/tables/views.py": (
        "tests/warehouse/mirror/test_invalid_values.py",
        "tests/warehouse/publishing/test_publish.py",
    ),
    "pipelines/warehouse/mirror/rows/history.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/mirror/schema/renames.py": ("tests/end_to_end/test_renames.py",),
    "pipelines/warehouse/mirror/mirror.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/mirror/pending.py": (
        "tests/sync/test_incremental.py",
        "tests/warehouse/mirror/test_pending.py",
    ),
    "pipelines/warehouse/mirror/audit_log.py": ("tests/extract/test_log_reading.py",),
    "pipelines/warehouse/mirror/schema/migrate.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/mirror/schema/view_definitions.py": ("tests/warehouse/publishing/test_publish.py",),
    "pipelines/warehouse/mirror/rows/merge_sql.py": (
        "tests/warehouse/mirror/test_merge_sql.py",
        "tests/warehouse/mirror/test_merge.py",
    ),
    "pipelines/warehouse/mirror/rows/history_sql.py": ("tests/warehouse/mirror/test_history_sql.py",),
    "pipelines/warehouse/mirror/rows/deletions_sql.py": (
        "tests/warehouse/mirror/test_deletions_sql.py",
        "tests/warehouse/mirror/test_merge.py",
    ),
    "pipelines/warehouse/mirror/rows/invalid_values_sql.py": (
        "tests/warehouse/mirror/test_invalid_values_sql.py",
        "tests/warehouse/mirror/test_invalid_values.py",
    ),
    "pipelines/warehouse/staging/staging_sql.py": (
        "tests/warehouse/staging/test_staging_sql.py",
        "tests/warehouse/staging/test_verify.py",
    ),
    "pipelines/warehouse/publishing/copy_sql.py": (
        "tests/warehouse/publishing/test_copy_sql.py",
        "tests/warehouse/publishing/test_publish.py",
    ),
    "pipelines/warehouse/tables/ddl.py": ("tests/warehouse/tables/test_ddl.py",),
    "pipelines/warehouse/tables/row_sql.py": ("tests/warehouse/tables/test_row_sql.py",),
    "pipelines/warehouse/sql/merge.sql": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/sql/tables.sql": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/sql/census.sql": ("tests/warehouse/staging/test_census.py",),
    "pipelines/warehouse/sql/invalid_values.sql": ("tests/warehouse/mirror/test_invalid_values.py",),
    "pipelines/warehouse/mirror/open.py": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/mirror/state.py": (
        "tests/warehouse/mirror/test_merge.py",
        "tests/warehouse/mirror/test_journal.py",
    ),
    "pipelines/warehouse/published/quality.py": ("tests/warehouse/published/test_quality.py",),
    "pipelines/warehouse/publishing/publish.py": ("tests/warehouse/publishing/test_publish.py",),
    "pipelines/warehouse/publishing/project.py": ("tests/warehouse/publishing/test_publish.py",),
    "pipelines/warehouse/mirror/journal.py": ("tests/warehouse/mirror/test_journal.py",),
    "pipelines/warehouse/mirror/journal_sql.py": (
        "tests/warehouse/mirror/test_journal.py",
        "tests/warehouse/comparison/test_comparison_sql.py",
    ),
    "pipelines/warehouse/comparison/comparison_sql.py": ("tests/warehouse/comparison/test_comparison_sql.py",),
    "pipelines/warehouse/mirror/proposals.py": ("tests/warehouse/mirror/test_journal.py",),
    "pipelines/warehouse/published/query.py": ("tests/warehouse/mirror/test_journal.py",),
    "pipelines/warehouse/mirror/rows/followed.py": ("tests/writeback/test_followed.py",),
    "pipelines/warehouse/mirror/identity.py": ("tests/warehouse/mirror/test_identity.py",),
    "pipelines/warehouse/mirror/rows/hash_key.py": ("tests/warehouse/mirror/test_hash_key.py",),
    "pipelines/warehouse/forget.py": ("tests/warehouse/test_forget.py",),
    "pipelines/warehouse/sql/quality.sql": ("tests/warehouse/published/test_quality.py",),
    "pipelines/warehouse/sql/deletions.sql": ("tests/warehouse/mirror/test_merge.py",),
    "pipelines/warehouse/sql/reading.sql": ("tests/cli/test_cli.py",),
    "pipelines/warehouse/sql/renames.sql": ("tests/end_to_end/test_renames.py",),
    "pipelines/warehouse/sql/state.sql": (
        "tests/warehouse/mirror/test_history.py",
        "tests/warehouse/mirror/test_merge.py",
    ),
    "pipelines/warehouse/sql/writeback.sql": ("tests/warehouse/mirror/test_journal.py",),
    "pipelines/warehouse/sql/audit_log.sql": ("tests/extract/test_log_reading.py",),
    "pipelines/writeback/decide/decide.py": ("tests/writeback/decide/test_decide.py",),
    "pipelines/writeback/decide/cells.py": ("tests/writeback/decide/test_decide.py",),
    "pipelines/writeback/decide/rulebook.py": ("tests/writeback/decide/test_rulebook.py",),
    "pipelines/writeback/decide/rules.py": ("tests/writeback/decide/test_rulebook.py",),
    "pipelines/writeback/decide/value_checks.py": ("tests/writeback/decide/test_rulebook.py",),
    "pipelines/writeback/decide/values.py": (
        "tests/writeback/decide/test_values.py",
        "tests/writeback/decide/test_rulebook.py",
    ),
    "pipelines/writeback/current_values.py": ("tests/writeback/test_current_values.py",),
    "pipelines/writeback/exports.py": ("tests/writeback/send/test_bisection.py",),
    "pipelines/writeback/proposals/files.py": ("tests/writeback/proposals/test_files.py",),
    "pipelines/writeback/proposals/intake.py": ("tests/writeback/proposals/test_propose.py",),
    "pipelines/writeback/decide/record_ids.py": ("tests/writeback/decide/test_record_ids.py",),
    "pipelines/writeback/send/requests.py": ("tests/writeback/send/test_requests.py",),
    "pipelines/writeback/send/bisection.py": ("tests/writeback/send/test_requests.py",),
    "pipelines/writeback/send/redaction.py": ("tests/writeback/send/test_requests.py",),
    "pipelines/writeback/session.py": (
        "tests/writeback/send/test_requests.py",
        "tests/writeback/send/test_bisection.py",
    ),
    "pipelines/writeback/guards.py": ("tests/writeback/test_guards.py",),
    "pipelines/writeback/project_rules.py": (
        "tests/writeback/send/test_requests.py",
        "tests/writeback/send/test_bisection.py",
    ),
    "pipelines/writeback/plan.py": ("tests/writeback/send/test_requests.py", "tests/writeback/send/test_bisection.py"),
    "pipelines/writeback/apply.py": ("tests/writeback/send/test_requests.py", "tests/writeback/send/test_bisection.py"),
    "pipelines/writeback/revert.py": (
        "tests/writeback/send/test_requests.py",
        "tests/writeback/send/test_bisection.py",
    ),
    "pipelines/writeback/send/outcomes.py": ("tests/writeback/send/test_outcomes.py",),
    "pipelines/writeback/send/tally.py": ("tests/writeback/send/test_outcomes.py",),
    "pipelines/writeback/send/sender.py": (
        "tests/writeback/send/test_requests.py",
        "tests/writeback/send/test_bisection.py",
    ),
    "pipelines/writeback/send/read_back.py": (
        "tests/writeback/send/test_requests.py",
        "tests/writeback/send/test_bisection.py",
    ),
    "pipelines/writeback/send/refresh.py": (
        "tests/writeback/send/test_requests.py",
        "tests/writeback/send/test_bisection.py",
    ),
    "pipelines/writeback/send/rights.py": (
        "tests/writeback/send/test_requests.py",
        "tests/writeback/send/test_bisection.py",
    ),
    "pipelines/writeback/withdraw.py": ("tests/writeback/test_withdraw.py",),
}


def covering(path: str) -> list[tuple[str, ...]]:
    """The tests to run against a source's mutants, stage by stage: its own, then its area's quickest, then all."""
    own = TARGETS[path]
    area, rest = (CLIENT, ALL_OF_THE_CLIENT) if path.startswith("redcap_source/") else (LOADING, ALL_OF_LOADING)
    if "writeback" in path or path.endswith("journal.py"):
        area, rest = WRITING, ALL_OF_WRITING
    return [stage for stage in (own, tuple(test for test in area if test not in own), rest) if stage]
