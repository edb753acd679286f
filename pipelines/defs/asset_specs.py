"""What the assets share: keys, owners, retry policy, and the load options of a run.

Not here: the assets themselves (structure.py, records.py, published.py, writeback.py).
"""

from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from pipelines.defs.resources import WarehouseResource
from pipelines.run import ProjectRun
from pipelines.sync.reports import LoadOptions
from pipelines.warehouse.mirror.schema.catalog import table_columns

PREFIX = "redcap"


# The tag of a scheduled night's runs. They do not publish; one run does for all of them.
NIGHT = "redcap/night"


OWNERS = ["team:data-management"]


# The client itself retries short failures; this is for outages that last minutes.
RETRY = dg.RetryPolicy(max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


class LoadConfig(dg.Config):
    """Load options. Without an `allow_*` flag, a load that would delete many records or drop columns is refused."""

    full: bool = Field(default=False, description="Read every record again, not only what changed since the last load.")
    allow_deletions: bool = Field(
        default=False, description="Many records were deleted in REDCap on purpose: delete them here, too."
    )
    allow_narrower: bool = Field(
        default=False, description="The token sees fewer fields than last time on purpose: remove them."
    )

    def options(self) -> LoadOptions:
        """The same as options of the load."""
        return LoadOptions(full=self.full, allow_deletions=self.allow_deletions, allow_narrower=self.allow_narrower)


def key(name: str) -> dg.AssetKey:
    """The asset's key; all keys of this location begin with `redcap`."""
    return dg.AssetKey([PREFIX, name])


def columns_of(table: str) -> dg.TableSchema:
    """The columns of a table of schema redcap."""
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in table_columns(table)])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A table for the UI; only for counts and names of fields, because Dagster stores it in clear text."""
    lines = [header, ["---"] * len(header), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))


def project_run(context: dg.AssetExecutionContext | dg.OpExecutionContext, warehouse: WarehouseResource) -> ProjectRun:
    """This run over its partition's project, to be used in a `with` block, which closes its store.

    A re-executed run finds the files of the run that it repeats.
    """
    return warehouse.run(
        context.partition_key,
        run_id=context.run.run_id,
        staging=context.run.root_run_id or context.run.run_id,
    )
