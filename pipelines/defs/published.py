"""The assets `record_changes` and `published`. Not here: the publish itself (publish_job.py, warehouse/publishing/)."""

# No postponed annotations here: Dagster reads them when it decorates.
from collections.abc import Iterator
from typing import Any

import dagster as dg

from pipelines.defs.asset_specs import NIGHT, OWNERS, PREFIX, RETRY, columns_of, key, markdown_table, project_run
from pipelines.defs.failures import as_dagster_failure
from pipelines.defs.publish_job import POOL, metadata_of, publish_marked
from pipelines.defs.resources import WarehouseResource
from pipelines.errors import WarehouseBusy
from pipelines.warehouse.published.quality import last_changes
from pipelines.warehouse.publishing.candidates import release


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
        with as_dagster_failure(), project_run(context, warehouse) as run:
            found = last_changes(run.store, context.partition_key)
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


# Not in the pool: a load that waits for the pool is published by whoever holds it next.
@dg.op(
    ins={"records": dg.In(dg.Nothing)},
    out=dg.Out(dg.Nothing, is_required=False),
    description="Mark the load as one that may be published: its checks have passed.",
    retry_policy=RETRY,
)
def release_load(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.Output[None]]:
    """Mark the load; in a scheduled night nothing follows, because one run publishes for all projects."""
    with as_dagster_failure(), project_run(context, warehouse) as run:
        # Only here: until its checks have passed, no other run may publish this project.
        release(run.store, context.partition_key)
    if NIGHT in context.run.tags:
        context.log.info(
            "%s is loaded. A run of the job `publish` publishes it together with the other projects of the night.",
            context.partition_key,
        )
    else:
        yield dg.Output(None)


@dg.op(
    ins={"released": dg.In(dg.Nothing)},
    description="Publish what is loaded, at once; a scheduled night skips this.",
    pool=POOL,
    retry_policy=RETRY,
)
def publish_now(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> dg.Output[None]:
    """Publish every project that waits, this one among them."""
    project = context.partition_key
    with as_dagster_failure(), project_run(context, warehouse) as run:
        store = run.store
        done, problem = publish_marked(context, store.published)
        if problem is not None and project not in done.projects:
            raise problem
        # The failure of another project is reported by its own run.
        entry = store.published.last().get(project)
        if entry is None or project in store.marks.waiting():
            raise WarehouseBusy(path=store.mirrors.place(project))
        metadata = metadata_of(store.published, project, entry, done)
    return dg.Output(None, metadata=metadata)


def make_published(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.graph_asset(
        key=key("published"),
        ins={"records": dg.AssetIn(key("records"), dagster_type=dg.Nothing)},
        partitions_def=partitions,
        group_name=PREFIX,
        kinds={"duckdb"},
        owners=OWNERS,
        description=(
            "warehouse.duckdb, the database that readers open, replaced in one step. Publishing includes every project "
            "that was loaded since the last time. A scheduled night publishes a few times at most, in runs of the job "
            "`publish`; a run that was started by hand publishes at once."
        ),
    )
    def published(records: Any) -> Any:
        return publish_now(release_load(records))

    return published
