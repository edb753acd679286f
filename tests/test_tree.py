"""Every module has a test of its name in the folder of its name, or is listed here with the tests that cover it."""

from __future__ import annotations

from pathlib import Path

from tests.support.root import ROOT

# Tests -> the modules that they cover and that have no test of their own: they are reached through a load, a command, a
# request or a Dagster run, as a user reaches them. The simulator is tested over HTTP, by what it answers.
COVERED_BY: dict[str, tuple[str, ...]] = {
    "tests/cli/test_cli.py": (
        "pipelines/cli/app.py",
        "pipelines/cli/failures.py",
        "pipelines/cli/main.py",
        "pipelines/cli/options.py",
        "pipelines/cli/queries.py",
        "pipelines/cli/sync.py",
        "pipelines/console/progress.py",
        "pipelines/console/sql_shell.py",
        "pipelines/console/tables.py",
        "pipelines/errors.py",
        "pipelines/warehouse/published/query.py",
        "pipelines/warehouse/published/record_history.py",
    ),
    "tests/cli/test_move_store.py": ("pipelines/console/move_tables.py",),
    "tests/cli/test_interrupts.py": ("pipelines/interrupts.py",),
    "tests/config/test_load.py": (
        "pipelines/config/cron.py",
        "pipelines/config/names.py",
        "pipelines/config/problems.py",
        "pipelines/config/schema.py",
        "pipelines/config/settings.py",
        "pipelines/config/tokens.py",
        "pipelines/config/values.py",
        "pipelines/config/yaml_reader.py",
        "pipelines/project_names.py",
        "pipelines/sharing.py",
    ),
    "tests/contract/test_client_against_simulator.py": (
        "redcap_source/methods/caller.py",
        "redcap_source/methods/files.py",
        "redcap_source/methods/log.py",
        "redcap_source/methods/options.py",
        "redcap_source/methods/projects.py",
        "redcap_source/methods/records.py",
        "redcap_source/methods/reports.py",
        "redcap_source/methods/setup.py",
        "redcap_source/methods/surveys.py",
        "redcap_source/methods/users.py",
    ),
    "tests/coordination/test_coordination.py": (
        "pipelines/coordination/marks.py",
        "pipelines/coordination/versions.py",
    ),
    "tests/coordination/test_schema.py": ("pipelines/named_statements.py",),
    "tests/defs/test_assets.py": (
        "pipelines/defs/asset_specs.py",
        "pipelines/defs/checks.py",
        "pipelines/defs/failures.py",
        "pipelines/defs/published.py",
        "pipelines/defs/records.py",
        "pipelines/defs/structure.py",
    ),
    "tests/defs/shared/test_run_lock.py": ("pipelines/defs/resources.py",),
    "tests/defs/test_deploy.py": ("pipelines/definitions.py",),
    "tests/defs/test_writeback.py": (
        "pipelines/defs/example_cleaning.py",
        "pipelines/defs/jobs.py",
    ),
    "tests/end_to_end/test_renames.py": ("pipelines/warehouse/mirror/schema/renames.py",),
    "tests/end_to_end/test_structure_changes.py": (
        "pipelines/warehouse/mirror/schema/catalog.py",
        "pipelines/warehouse/mirror/schema/drift.py",
        "pipelines/warehouse/mirror/schema/migrate.py",
        "pipelines/warehouse/mirror/schema/view_definitions.py",
    ),
    "tests/extract/test_log_reading.py": ("pipelines/warehouse/mirror/audit_log.py",),
    "tests/extract/test_planner.py": (
        "pipelines/extract/change_detection.py",
        "pipelines/extract/structure.py",
    ),
    "tests/redcap_source/dictionary/test_dictionary.py": (
        "redcap_source/dictionary/choices.py",
        "redcap_source/dictionary/columns.py",
        "redcap_source/dictionary/kinds.py",
        "redcap_source/dictionary/validation.py",
    ),
    "tests/redcap_source/frames/test_typed_frames.py": ("redcap_source/frames/typed_values.py",),
    "tests/redcap_source/http/test_downloads.py": ("redcap_source/http/sinks.py",),
    "tests/redcap_source/http/test_timeouts.py": (
        "redcap_source/http/connection.py",
        "redcap_source/http/failures.py",
    ),
    "tests/redcap_source/model/test_model.py": (
        "redcap_source/model/other.py",
        "redcap_source/model/project.py",
        "redcap_source/model/rows.py",
        "redcap_source/model/users.py",
    ),
    "tests/redcap_source/protocol/test_response_errors.py": (
        "redcap_source/protocol/completeness.py",
        "redcap_source/protocol/error_texts.py",
    ),
    "tests/redcap_source/test_client.py": (
        "redcap_source/http/addresses.py",
        "redcap_source/http/exchange.py",
        "redcap_source/http/session.py",
    ),
    "tests/redcap_source/test_privacy.py": (
        "redcap_source/http/log_filter.py",
        "redcap_source/token.py",
    ),
    "tests/simulator/test_offer.py": (
        "pipelines/cli/simulate.py",
        "pipelines/cli/simulate_options.py",
    ),
    "tests/sync/test_incremental.py": (
        "pipelines/warehouse/mirror/runs.py",
        "pipelines/warehouse/mirror/state.py",
    ),
    "tests/sync/test_load.py": (
        "pipelines/extract/chunks.py",
        "pipelines/run.py",
        "pipelines/sync/apply.py",
        "pipelines/sync/fetch.py",
        "pipelines/sync/findings.py",
        "pipelines/sync/finish.py",
        "pipelines/sync/handoff.py",
        "pipelines/sync/plan.py",
        "pipelines/sync/prepare.py",
        "pipelines/sync/recording.py",
        "pipelines/sync/reports.py",
        "pipelines/warehouse/locks.py",
    ),
    "tests/test_readme.py": (
        "pipelines/cli/demo.py",
        "pipelines/demo/in_process.py",
        "pipelines/demo/run.py",
        "pipelines/demo/studies.py",
        "pipelines/demo/tour.py",
        "pipelines/demo/ui.py",
    ),
    "tests/warehouse/comparison/test_comparison_sql.py": ("pipelines/warehouse/mirror/journal_sql.py",),
    "tests/warehouse/database/test_connection.py": (
        "pipelines/warehouse/database/compaction.py",
        "pipelines/warehouse/database/file_errors.py",
        "pipelines/warehouse/published_file.py",
    ),
    "tests/warehouse/lake/test_interrupted.py": ("pipelines/warehouse/lake/lost_commit.py",),
    "tests/warehouse/lake/test_lake_damage.py": (
        "pipelines/coordination/lake.py",
        "pipelines/warehouse/lake/commits.py",
        "pipelines/warehouse/lake/files.py",
        "pipelines/warehouse/lake/publisher_connection.py",
        "pipelines/warehouse/store/lake_damage.py",
        "pipelines/warehouse/store/lake_watch.py",
    ),
    "tests/warehouse/lake/test_removal.py": ("pipelines/warehouse/lake/lake_sql.py",),
    "tests/warehouse/mirror/test_invalid_values.py": (
        "pipelines/warehouse/tables/choice_checks.py",
        "pipelines/warehouse/tables/views.py",
    ),
    "tests/warehouse/mirror/test_journal.py": (
        "pipelines/warehouse/mirror/proposals.py",
        "pipelines/warehouse/tables/writeback.py",
    ),
    "tests/warehouse/mirror/test_merge.py": (
        "pipelines/warehouse/database/rows.py",
        "pipelines/warehouse/mirror/mirror.py",
        "pipelines/warehouse/mirror/open.py",
        "pipelines/warehouse/mirror/rows/batch.py",
        "pipelines/warehouse/mirror/rows/deletions.py",
        "pipelines/warehouse/mirror/rows/merge_instrument.py",
        "pipelines/warehouse/tables/layout.py",
        "pipelines/warehouse/tables/structure.py",
    ),
    "tests/warehouse/publishing/test_publish.py": (
        "pipelines/warehouse/folder.py",
        "pipelines/warehouse/publishing/candidates.py",
        "pipelines/warehouse/publishing/first_load.py",
        "pipelines/warehouse/publishing/instruments.py",
        "pipelines/warehouse/publishing/new_file.py",
        "pipelines/warehouse/publishing/project.py",
        "pipelines/warehouse/publishing/source.py",
        "pipelines/warehouse/publishing/write.py",
    ),
    "tests/warehouse/shared/test_place.py": (
        "pipelines/store_errors.py",
        "pipelines/warehouse/shared/digest.py",
        "pipelines/warehouse/shared/folder_place.py",
        "pipelines/warehouse/shared/s3_place.py",
    ),
    "tests/warehouse/moving/test_plan.py": ("pipelines/warehouse/moving/contents.py",),
    "tests/warehouse/shared/test_working_copies.py": (
        "pipelines/warehouse/shared/adoption.py",
        "pipelines/warehouse/shared/check_out.py",
        "pipelines/warehouse/shared/local_copy.py",
    ),
    "tests/warehouse/staging/test_column_groups.py": (
        "pipelines/warehouse/database/long_statements.py",
        "pipelines/warehouse/database/memory.py",
        "pipelines/warehouse/staging/split_csv.py",
    ),
    "tests/warehouse/staging/test_verify.py": (
        "pipelines/warehouse/staging/answers.py",
        "pipelines/warehouse/staging/split_json.py",
    ),
    "tests/warehouse/store/test_file_store.py": (
        "pipelines/warehouse/store/hash_key_file.py",
        "pipelines/warehouse/store/protocol.py",
        "pipelines/warehouse/store/results.py",
    ),
    "tests/warehouse/store/test_lake_store.py": ("pipelines/warehouse/store/published_lake.py",),
    "tests/warehouse/tables/test_row_sql.py": ("pipelines/warehouse/database/quoting.py",),
    "tests/warehouse/tables/test_types.py": ("pipelines/warehouse/tables/value_checks.py",),
    "tests/warehouse/test_forget.py": ("pipelines/cli/forget.py",),
    "tests/writeback/decide/test_rulebook.py": (
        "pipelines/writeback/decide/cells.py",
        "pipelines/writeback/decide/reasons.py",
        "pipelines/writeback/decide/rules.py",
        "pipelines/writeback/decide/value_checks.py",
    ),
    "tests/writeback/proposals/test_exports.py": (
        "pipelines/writeback/proposals/eav.py",
        "pipelines/writeback/proposals/edited.py",
        "pipelines/writeback/proposals/label_export.py",
        "pipelines/writeback/proposals/wide.py",
        "pipelines/writeback/proposals/wide_columns.py",
    ),
    "tests/writeback/proposals/test_files.py": ("pipelines/warehouse/database/plain_csv.py",),
    "tests/writeback/proposals/test_propose.py": (
        "pipelines/warehouse/comparison/cells.py",
        "pipelines/warehouse/comparison/comparison.py",
        "pipelines/warehouse/comparison/rows.py",
        "pipelines/warehouse/comparison/source.py",
        "pipelines/warehouse/comparison/submission.py",
        "pipelines/warehouse/published/snapshot.py",
        "pipelines/warehouse/published/snapshot_sql.py",
        "pipelines/writeback/proposals/columns.py",
        "pipelines/writeback/proposals/intake.py",
        "pipelines/writeback/proposals/long.py",
        "pipelines/writeback/proposals/staleness.py",
        "pipelines/writeback/proposals/table.py",
    ),
    "tests/writeback/proposals/test_unreadable.py": ("pipelines/warehouse/database/parquet.py",),
    "tests/writeback/send/test_outcomes.py": ("pipelines/writeback/send/tally.py",),
    "tests/writeback/send/test_requests.py": ("pipelines/writeback/send/redaction.py",),
    "tests/writeback/test_commands.py": ("pipelines/cli/writeback.py",),
    "tests/writeback/test_current_values.py": ("pipelines/writeback/exports.py",),
    "tests/writeback/test_faults.py": (
        "pipelines/writeback/send/read_back.py",
        "pipelines/writeback/send/refresh.py",
        "pipelines/writeback/send/rights.py",
        "pipelines/writeback/send/sender.py",
    ),
    "tests/writeback/test_followed.py": ("pipelines/warehouse/mirror/rows/followed.py",),
    "tests/writeback/test_withdraw.py": ("pipelines/warehouse/mirror/withdrawal.py",),
    "tests/writeback/test_writeback.py": (
        "pipelines/writeback/apply.py",
        "pipelines/writeback/errors.py",
        "pipelines/writeback/plan.py",
        "pipelines/writeback/project_rules.py",
        "pipelines/writeback/publishing.py",
        "pipelines/writeback/report.py",
        "pipelines/writeback/revert.py",
    ),
}
OVER_HTTP = "redcap_source/simulator/"
LISTED = {module for modules in COVERED_BY.values() for module in modules}
MODULES = [
    path.relative_to(ROOT).as_posix()
    for package in ("pipelines", "redcap_source")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name not in ("__init__.py", "__main__.py")
]


def folders_of(module: str) -> list[Path]:
    """Where the test of a module may be: the folder of its name, or those above it."""
    parts = Path(module).parent.parts
    inside = Path(*parts[1:]) if parts[0] == "pipelines" else Path(*parts)
    below = ROOT / "tests" / (inside.relative_to("redcap_source") if OVER_HTTP in f"{module}/" else inside)
    return [folder for folder in (below, *below.parents) if folder.is_relative_to(ROOT / "tests")]


def has_its_own(module: str) -> bool:
    return any((folder / f"test_{Path(module).name}").is_file() for folder in folders_of(module))


def test_a_module_has_a_test_of_its_name_or_is_listed():
    modules = [name for name in MODULES if not name.startswith(OVER_HTTP)]
    assert [module for module in modules if has_its_own(module) == (module in LISTED)] == []


def test_the_list_names_modules_and_tests_that_exist():
    assert sorted(LISTED - set(MODULES)) == []
    assert [tests for tests in COVERED_BY if not (ROOT / tests).exists()] == []
