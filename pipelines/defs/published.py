"""The assets `record_changes` and `published`. Not here: how publishing works (warehouse/published/)."""

import dagster as dg

from pipelines.defs.asset_specs import OWNERS, PREFIX, RETRY, columns_of, key, markdown_table, project_run
from pipelines.defs.failures import as_dagster_failure
from pipelines.defs.resources import WarehouseResource
from pipelines.errors import NotAllPublished, WarehouseBusy
from pipelines.warehouse.published.quality import last_changes, published_rows
from pipelines.warehouse.publishing.candidates import release
from pipelines.warehouse.publishing.publish import publish


def make_record_changes(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=key("record_changes"),
        deps=[key("records")],
        partitions_def=partitions,
        group_name=PREFIX,
        kinds={"duckdb"},
        owners=OWNERS,
        retry_policy=RETRY,
        metadata={
            "dagster/table_name": "redcap.record_changes",
            "dagster/column_schema": columns_of("record_changes"),
        },
        description=(
            "Every changed cell of every record: its value before and after, when it was found, and, where REDCap's "
            "log may be read, who changed it and when. Written with the records, in the same transactions."
        ),
    )
    def record_changes(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Count what the load of this run found changed."""
        with as_dagster_failure():
            found = last_changes(project_run(context, warehouse).folder, context.partition_key)
        return dg.MaterializeResult(
            metadata={
                "cells_changed": sum(cells for *_, cells in found),
                "by_instrument": markdown_table(
                    ("instrument", "change", "records", "cells"),
                    [(name, change, f"{records:,}", f"{cells:,}") for name, change, records, cells in found],
                ),
            }
        )

    return record_changes


def make_published(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=key("published"),
        deps=[key("records")],
        partitions_def=partitions,
        group_name=PREFIX,
        kinds={"duckdb"},
        owners=OWNERS,
        pool="redcap_publish",
        retry_policy=RETRY,
        description=(
            "warehouse.duckdb, the database that readers open, replaced in one step. Publishing includes every project "
            "that was loaded since the last time."
        ),
    )
    def published(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Publish what is loaded."""
        with as_dagster_failure():
            run = project_run(context, warehouse)
            # Only here: until its checks have passed, no other run may publish this project.
            release(run.folder, context.partition_key)
            try:
                published_now = publish(
                    run.folder,
                    memory_limit=run.config.memory_limit,
                    configured=run.config.projects,
                    sharing=run.config.published,
                ).projects
            except NotAllPublished as problem:
                if context.partition_key not in problem.published:
                    raise
                # The failure of another project is reported by its own run.
                published_now = problem.published
            if context.partition_key in run.folder.unpublished():
                raise WarehouseBusy(path=run.folder.mirror(context.partition_key))
            rows = published_rows(run.folder, context.partition_key)
        return dg.MaterializeResult(
            metadata={
                "dagster/partition_row_count": sum(rows.values()),
                "dagster/uri": str(run.folder.database),
                "dagster/table_name": f"warehouse.{context.partition_key}",
                "projects_taken_up": len(published_now),
                "database_bytes": run.folder.database.stat().st_size,
            }
        )

    return published
