"""The modules that guard data, and the tests that cover each, those that tell soonest first."""

from __future__ import annotations

CLIENT = ("tests/client/test_client.py", "tests/client/test_reads.py", "tests/client/test_against_simulator.py")
LOADING = ("tests/pipelines/test_sync.py", "tests/pipelines/test_nights.py")
WRITING = ("tests/writeback/test_writeback.py", "tests/writeback/test_faults.py")
# All that is left, for those that the others do not notice.
ALL_OF_THE_CLIENT = ("tests/client",)
ALL_OF_LOADING = ("tests/nights", "tests/pipelines", "tests/test_cli.py")
ALL_OF_WRITING = ("tests/writeback",)

# Source -> the tests made for it; what covers its area follows (see `covering`).
TARGETS: dict[str, tuple[str, ...]] = {
    "redcap_source/protocol/response_errors.py": ("tests/client/test_verdict.py", "tests/client/test_limits.py"),
    "redcap_source/protocol/completeness.py": (
        "tests/client/test_rows.py",
        "tests/client/test_request.py",
        "tests/client/test_limits.py",
    ),
    "redcap_source/protocol/content_encoding.py": (
        "tests/client/test_half_characters.py",
        "tests/client/test_limits.py",
    ),
    "redcap_source/http/timeouts.py": ("tests/client/test_limits.py",),
    "redcap_source/protocol/error_texts.py": ("tests/client/test_verdict.py",),
    "redcap_source/http/connection.py": ("tests/client/test_limits.py", "tests/client/test_certificates.py"),
    "redcap_source/http/addresses.py": ("tests/client/test_limits.py",),
    "redcap_source/http/failures.py": ("tests/client/test_limits.py", "tests/client/test_certificates.py"),
    "redcap_source/http/session.py": ("tests/client/test_client.py",),
    "redcap_source/http/sinks.py": ("tests/client/test_limits.py", "tests/client/test_files.py"),
    "redcap_source/protocol/json_stream.py": ("tests/client/test_rows.py",),
    "redcap_source/log/changes.py": ("tests/client/test_changes.py",),
    "redcap_source/log/clock.py": ("tests/client/test_clock.py",),
    "redcap_source/dictionary/columns.py": ("tests/client/test_dictionary.py",),
    "redcap_source/dictionary/kinds.py": ("tests/client/test_dictionary.py",),
    "redcap_source/dictionary/choices.py": ("tests/client/test_dictionary.py",),
    "redcap_source/dictionary/validation.py": ("tests/client/test_dictionary.py",),
    "redcap_source/http/retry.py": ("tests/client/test_retry.py",),
    "redcap_source/protocol/redaction.py": ("tests/client/test_discretion.py", "tests/client/test_privacy.py"),
    "pipelines/extract/change_detection.py": ("tests/pipelines/test_clocks.py",),
    "pipelines/extract/planner.py": ("tests/pipelines/test_planning.py", "tests/pipelines/test_scopes.py"),
    "pipelines/extract/scopes.py": ("tests/pipelines/test_scopes.py",),
    "pipelines/extract/missing_records.py": ("tests/pipelines/test_missing.py",),
    "pipelines/sync/guards.py": ("tests/pipelines/test_guards.py", "tests/pipelines/test_missing.py"),
    "pipelines/extract/fetcher.py": ("tests/pipelines/test_missing.py",),
    "pipelines/extract/request_queue.py": ("tests/pipelines/test_request_queue.py",),
    "pipelines/extract/chunk_verification.py": (
        "tests/pipelines/test_chunk_verification.py",
        "tests/pipelines/test_missing.py",
    ),
    "pipelines/extract/chunks.py": ("tests/pipelines/test_missing.py",),
    "pipelines/extract/selection.py": ("tests/pipelines/test_selection.py",),
    "pipelines/extract/log_reading.py": ("tests/pipelines/test_log_reading.py",),
    "pipelines/extract/server_time.py": ("tests/pipelines/test_clocks.py",),
    "pipelines/sync/load.py": ("tests/pipelines/test_sync.py",),
    "pipelines/sync/prepare.py": ("tests/pipelines/test_sync.py",),
    "pipelines/sync/load_clock.py": ("tests/pipelines/test_load_clock.py", "tests/pipelines/test_clocks.py"),
    "pipelines/sync/fetch.py": ("tests/pipelines/test_scopes.py",),
    "pipelines/sync/apply.py": ("tests/pipelines/test_sync.py", "tests/pipelines/test_nights.py"),
    "pipelines/sync/finish.py": ("tests/pipelines/test_sync.py",),
    "pipelines/sync/recording.py": ("tests/pipelines/test_sync.py",),
    "pipelines/run.py": ("tests/pipelines/test_sync.py",),
    "pipelines/sync/reports.py": ("tests/pipelines/test_sync.py",),
    "pipelines/sync/plan.py": ("tests/pipelines/test_work_plan.py",),
    "pipelines/sync/handoff.py": ("tests/pipelines/test_sync.py",),
    "pipelines/warehouse/mirror/rows/merge.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/database/rows.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/mirror/rows/merge_instrument.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/mirror/rows/batch.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/staging/verify.py": ("tests/pipelines/test_proof.py",),
    "pipelines/warehouse/staging/answers.py": ("tests/pipelines/test_proof.py",),
    "pipelines/warehouse/staging/split_json.py": ("tests/pipelines/test_proof.py",),
    "pipelines/warehouse/staging/census.py": ("tests/pipelines/test_census.py",),
    "pipelines/warehouse/mirror/rows/deletions.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/mirror/rows/invalid_values.py": (
        "tests/pipelines/test_invalid_values.py",
        "tests/pipelines/test_apply.py",
    ),
    "pipelines/warehouse/tables/value_checks.py": (
        "tests/pipelines/test_types.py",
        "tests/pipelines/test_invalid_values.py",
    ),
    "pipelines/warehouse/tables/name_collisions.py": ("tests/pipelines/test_names.py",),
    "pipelines/warehouse/tables/choice_checks.py": ("tests/pipelines/test_invalid_values.py",),
    "pipelines/warehouse/staging/column_groups.py": ("tests/pipelines/test_width.py",),
    "pipelines/warehouse/tables/types.py": ("tests/pipelines/test_types.py",),
    "pipelines/warehouse/tables/views.py": (
        "tests/pipelines/test_invalid_values.py",
        "tests/pipelines/test_publish.py",
    ),
    "pipelines/warehouse/mirror/rows/history.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/mirror/schema/renames.py": ("tests/nights/test_renames.py",),
    "pipelines/warehouse/mirror/mirror.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/mirror/open.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/mirror/state.py": ("tests/pipelines/test_apply.py", "tests/writeback/test_journal.py"),
    "pipelines/warehouse/published/quality.py": ("tests/pipelines/test_audit.py",),
    "pipelines/warehouse/published/publish.py": ("tests/pipelines/test_publish.py",),
    "pipelines/warehouse/published/project.py": ("tests/pipelines/test_publish.py",),
    "pipelines/warehouse/mirror/journal.py": ("tests/writeback/test_journal.py",),
    "pipelines/warehouse/mirror/journal_sql.py": (
        "tests/writeback/test_journal.py",
        "tests/writeback/test_comparison_sql.py",
    ),
    "pipelines/warehouse/comparison/comparison_sql.py": ("tests/writeback/test_comparison_sql.py",),
    "pipelines/warehouse/mirror/proposals.py": ("tests/writeback/test_journal.py",),
    "pipelines/warehouse/published/query.py": ("tests/writeback/test_journal.py",),
    "pipelines/warehouse/mirror/rows/followed.py": ("tests/writeback/test_followed.py",),
    "pipelines/warehouse/mirror/identity.py": ("tests/pipelines/test_working_file.py",),
    "pipelines/warehouse/mirror/rows/hash_key.py": ("tests/pipelines/test_hash_key.py",),
    "pipelines/warehouse/forget.py": ("tests/pipelines/test_forget.py",),
    "pipelines/warehouse/sql/quality.sql": ("tests/pipelines/test_audit.py",),
    "pipelines/warehouse/sql/deletions.sql": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/sql/reading.sql": ("tests/test_cli.py",),
    "pipelines/warehouse/sql/renames.sql": ("tests/nights/test_renames.py",),
    "pipelines/warehouse/sql/state.sql": ("tests/pipelines/test_signing.py", "tests/pipelines/test_apply.py"),
    "pipelines/warehouse/sql/writeback.sql": ("tests/writeback/test_journal.py",),
    "pipelines/warehouse/sql/audit_log.sql": ("tests/pipelines/test_log_reading.py",),
    "pipelines/writeback/decide/decide.py": ("tests/writeback/test_decide.py",),
    "pipelines/writeback/decide/cells.py": ("tests/writeback/test_decide.py",),
    "pipelines/writeback/decide/rulebook.py": ("tests/writeback/test_rules.py",),
    "pipelines/writeback/decide/rules.py": ("tests/writeback/test_rules.py",),
    "pipelines/writeback/decide/value_checks.py": ("tests/writeback/test_rules.py",),
    "pipelines/writeback/decide/values.py": ("tests/writeback/test_values.py", "tests/writeback/test_rules.py"),
    "pipelines/writeback/current_values.py": ("tests/writeback/test_live.py",),
    "pipelines/writeback/exports.py": ("tests/writeback/test_refusals.py",),
    "pipelines/writeback/proposals/files.py": ("tests/writeback/proposals/test_files.py",),
    "pipelines/writeback/proposals/intake.py": ("tests/writeback/test_offers.py",),
    "pipelines/writeback/decide/record_ids.py": ("tests/writeback/test_record_ids.py",),
    "pipelines/writeback/send/requests.py": ("tests/writeback/test_batches.py",),
    "pipelines/writeback/send/bisection.py": ("tests/writeback/test_batches.py",),
    "pipelines/writeback/send/redaction.py": ("tests/writeback/test_batches.py",),
    "pipelines/writeback/session.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/guards.py": ("tests/writeback/test_guards.py",),
    "pipelines/writeback/project_rules.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/plan.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/apply.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/revert.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/send/outcomes.py": ("tests/writeback/test_outcomes.py",),
    "pipelines/writeback/send/tally.py": ("tests/writeback/test_outcomes.py",),
    "pipelines/writeback/send/sender.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/send/read_back.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/send/refresh.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/send/rights.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/withdraw.py": ("tests/writeback/test_withdraw.py",),
}


def covering(path: str) -> list[tuple[str, ...]]:
    """The tests to run against a source's mutants, stage by stage: its own, then its area's quickest, then all."""
    own = TARGETS[path]
    area, rest = (CLIENT, ALL_OF_THE_CLIENT) if path.startswith("redcap_source/") else (LOADING, ALL_OF_LOADING)
    if "writeback" in path or path.endswith("journal.py"):
        area, rest = WRITING, ALL_OF_WRITING
    return [stage for stage in (own, tuple(test for test in area if test not in own), rest) if stage]
