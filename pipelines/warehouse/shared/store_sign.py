"""The file by which a shared place shows that the data of one store are there.

A drive that is not mounted is an empty folder, and `store.data` may name another folder than on the other machines.
What is written there, no other machine finds; so this is asked before loads begin, whatever they find or make later.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.coordination import Coordination
from pipelines.store_errors import SharedPlaceUnusable
from pipelines.warehouse.shared.digest import digest_of
from pipelines.warehouse.shared.place import SharedPlace

# No project can have this name, and so no folder of published rows.
FOLDER = "_store/"


def check_sign(place: SharedPlace, data: str, coordination: Coordination) -> None:
    """Raise SharedPlaceUnusable unless the place, `data` in messages, has the sign of the coordination's store.

    A store that is used for the first time gets its sign here.
    """
    name = f"{FOLDER}{coordination.store_id()}"
    if name in place.names(FOLDER):
        coordination.sign()
        return
    if coordination.is_signed():
        raise SharedPlaceUnusable(
            place=data,
            reason=f"the data of this store are not there: it lacks the file {name}",
            remedy="Make sure that the drive is mounted, and that store.data names the place that the other machines "
            "use. If the data were moved or restored, the folder `_store` belongs to them.",
        )
    # Before anything is written: its error names the place, and not the file.
    place.check_writable()
    with TemporaryDirectory() as folder:
        file = Path(folder, "sign")
        file.write_text("The store of a REDCap warehouse. Do not delete this file.\n")
        place.put(file, name, digest_of(file))
    coordination.sign()
