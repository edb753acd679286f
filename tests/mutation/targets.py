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
    "redcap_source/verdict.py": ("tests/client/test_verdict.py", "tests/client/test_limits.py"),
    "redcap_source/ending.py": (
        "tests/client/test_rows.py",
        "tests/client/test_request.py",
        "tests/client/test_limits.py",
    ),
    "redcap_source/encoding.py": ("tests/client/test_half_characters.py", "tests/client/test_limits.py"),
    "redcap_source/timeouts.py": ("tests/client/test_limits.py",),
    "redcap_source/connection.py": ("tests/client/test_limits.py", "tests/client/test_certificates.py"),
    "redcap_source/sinks.py": ("tests/client/test_limits.py", "tests/client/test_files.py"),
    "redcap_source/rows.py": ("tests/client/test_rows.py",),
    "redcap_source/changes.py": ("tests/client/test_changes.py",),
    "redcap_source/clock.py": ("tests/client/test_clock.py",),
    "redcap_source/dictionary.py": ("tests/client/test_dictionary.py",),
    "redcap_source/retry.py": ("tests/client/test_retry.py",),
    "redcap_source/discretion.py": ("tests/client/test_discretion.py", "tests/client/test_privacy.py"),
    "pipelines/worklist.py": ("tests/pipelines/test_clocks.py",),
    "pipelines/planning.py": ("tests/pipelines/test_planning.py", "tests/pipelines/test_scopes.py"),
    "pipelines/scopes.py": ("tests/pipelines/test_scopes.py",),
    "pipelines/missing.py": ("tests/pipelines/test_missing.py",),
    "pipelines/refusals.py": ("tests/pipelines/test_missing.py",),
    "pipelines/extract.py": ("tests/pipelines/test_missing.py",),
    "pipelines/selection.py": ("tests/pipelines/test_selection.py",),
    "pipelines/log_reading.py": ("tests/pipelines/test_log_reading.py",),
    "pipelines/server_time.py": ("tests/pipelines/test_clocks.py",),
    "pipelines/sync.py": ("tests/pipelines/test_sync.py",),
    "pipelines/warehouse/apply.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/proof.py": ("tests/pipelines/test_proof.py",),
    "pipelines/warehouse/census.py": ("tests/pipelines/test_census.py",),
    "pipelines/warehouse/departure.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/misfits.py": ("tests/pipelines/test_invalid_values.py", "tests/pipelines/test_apply.py"),
    "pipelines/warehouse/value_checks.py": ("tests/pipelines/test_types.py", "tests/pipelines/test_invalid_values.py"),
    "pipelines/warehouse/name_collisions.py": ("tests/pipelines/test_names.py",),
    "pipelines/warehouse/choice_checks.py": ("tests/pipelines/test_invalid_values.py",),
    "pipelines/warehouse/column_groups.py": ("tests/pipelines/test_width.py",),
    "pipelines/warehouse/types.py": ("tests/pipelines/test_types.py",),
    "pipelines/warehouse/views.py": ("tests/pipelines/test_invalid_values.py", "tests/pipelines/test_publish.py"),
    "pipelines/warehouse/trace.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/renames.py": ("tests/nights/test_renames.py",),
    "pipelines/warehouse/mirror.py": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/audit.py": ("tests/pipelines/test_audit.py",),
    "pipelines/warehouse/publish.py": ("tests/pipelines/test_publish.py",),
    "pipelines/warehouse/take_up.py": ("tests/pipelines/test_publish.py",),
    "pipelines/warehouse/journal.py": ("tests/writeback/test_journal.py",),
    "pipelines/warehouse/followed.py": ("tests/writeback/test_followed.py",),
    "pipelines/warehouse/working_file.py": ("tests/pipelines/test_working_file.py",),
    "pipelines/warehouse/hash_key.py": ("tests/pipelines/test_hash_key.py",),
    "pipelines/warehouse/forget.py": ("tests/pipelines/test_forget.py",),
    "pipelines/warehouse/sql/audit.sql": ("tests/pipelines/test_audit.py",),
    "pipelines/warehouse/sql/departure.sql": ("tests/pipelines/test_apply.py",),
    "pipelines/warehouse/sql/reading.sql": ("tests/test_cli.py",),
    "pipelines/warehouse/sql/renames.sql": ("tests/nights/test_renames.py",),
    "pipelines/warehouse/sql/state.sql": ("tests/pipelines/test_signing.py", "tests/pipelines/test_apply.py"),
    "pipelines/warehouse/sql/writeback.sql": ("tests/writeback/test_journal.py",),
    "pipelines/warehouse/sql/audit_log.sql": ("tests/pipelines/test_log_reading.py",),
    "pipelines/writeback/decide.py": ("tests/writeback/test_decide.py",),
    "pipelines/writeback/rules.py": ("tests/writeback/test_rules.py",),
    "pipelines/writeback/values.py": ("tests/writeback/test_values.py", "tests/writeback/test_rules.py"),
    "pipelines/writeback/live.py": ("tests/writeback/test_live.py",),
    "pipelines/writeback/exports.py": ("tests/writeback/test_refusals.py",),
    "pipelines/writeback/proposals/files.py": ("tests/writeback/proposals/test_files.py",),
    "pipelines/writeback/proposals/intake.py": ("tests/writeback/test_offers.py",),
    "pipelines/writeback/record_ids.py": ("tests/writeback/test_record_ids.py",),
    "pipelines/writeback/batches.py": ("tests/writeback/test_batches.py",),
    "pipelines/writeback/shell.py": ("tests/writeback/test_batches.py", "tests/writeback/test_refusals.py"),
    "pipelines/writeback/withdraw.py": ("tests/writeback/test_withdraw.py",),
}


def covering(path: str) -> list[tuple[str, ...]]:
    """The tests to run against a source's mutants, stage by stage: its own, then its area's quickest, then all."""
    own = TARGETS[path]
    area, rest = (CLIENT, ALL_OF_THE_CLIENT) if path.startswith("redcap_source/") else (LOADING, ALL_OF_LOADING)
    if "writeback" in path or path.endswith("journal.py"):
        area, rest = WRITING, ALL_OF_WRITING
    return [stage for stage in (own, tuple(test for test in area if test not in own), rest) if stage]
