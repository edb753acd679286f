"""Watches the published lake: what of it is right is known before and after each change by a publisher.

The record of it is in PostgreSQL beside the marks (pipelines.coordination.lake). What a publisher changes is recorded
when all is done; until then its snapshots are recognised by what they say of themselves. A process that ends anywhere
leaves a record by which the next one finds the rest.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

from pipelines.coordination import Coordination, LakeRecord
from pipelines.warehouse.shared.working_copies import WorkingCopies
from pipelines.warehouse.store.lake_damage import SHARED, Damage, find_damage, published_now, schemas_of, with_files

if TYPE_CHECKING:
    from pipelines.warehouse.lake.publish import LakePublisher


class LakeWatch:
    """Compares the lake with the record of it. Only `look` may be called without the publisher's lock."""

    def __init__(self, coordination: Coordination, copies: WorkingCopies) -> None:
        self._coordination = coordination
        self._copies = copies

    def look(self) -> Damage:
        """What of the lake is not what was published, as far as its catalog tells; the lake is not attached."""
        return self._look()[2]

    def begin(self, publisher: LakePublisher, *, files_of: Collection[str] = ()) -> Damage:
        """Attach the lake to change it, and note what of it is not what was published; it may be made again now.

        The data files of these projects, and of the tables that all share, are looked for as well, if any are given.
        Raises SharedPlaceUnusable if the place of the data is not there: nothing is missing then.
        """
        self._copies.check_there()
        record, was_there, damage = self._look()
        if not was_there and record.is_whole is not None:
            self._coordination.drop_lake_catalog()
        if damage.why is not None:
            # What an attached lake knows of its catalog is wrong.
            publisher.close()
        if publisher.begin(record.token, record.snapshot):
            # Attaching it makes one where there is none, and takes a commit back whose files were deleted.
            damage = find_damage(record, self._coordination.lake_catalog(record), was_there=was_there)
        if files_of:
            schemas = [schema for project in files_of for schema in schemas_of(project)]
            damage = with_files(damage, publisher.faulty_schemas([*SHARED, *schemas]))
        self._coordination.save_lake(damage.record)
        return damage

    def end(self, damage: Damage, *, written: Collection[str] = (), repaired: bool = False) -> None:
        """Record what the lake is now, unless somebody else wrote to it meanwhile: then the next publish looks."""
        catalog = self._coordination.lake_catalog(damage.record)
        if catalog is not None and not catalog.strangers and catalog.identity == damage.record.identity:
            self._coordination.save_lake(published_now(damage.record, catalog, written, repaired=repaired))

    def _look(self) -> tuple[LakeRecord, bool, Damage]:
        """The record, whether there is a lake at all that can be one of it, and what of it is not as recorded."""
        record = self._coordination.lake_record(uuid.uuid4().hex)
        catalog = self._coordination.lake_catalog(record) if record.is_whole else None
        was_there = catalog is not None or (record.is_whole is not None and record.snapshot is None)
        return record, was_there, find_damage(record, catalog, was_there=was_there)
