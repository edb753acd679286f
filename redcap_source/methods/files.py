"""Methods about files: uploads in fields, the file repository, PDFs of instruments."""

from pathlib import Path

from redcap_source import model
from redcap_source.http.downloads import SavedFile
from redcap_source.http.sinks import Received
from redcap_source.methods.caller import Caller
from redcap_source.protocol.parsing import only_object
from redcap_source.protocol.request import Expect, Parameter, Request, Upload, change


class FileMethods(Caller):
    """export_file, import_file, delete_file; file_repository and its files and folders; export_instruments_pdf."""

    # --- In fields ---

    def export_file(
        self, record: str, field: str, folder: Path, *, event: str = "", repeat_instance: int | None = None
    ) -> SavedFile:
        """Download a field's file into the folder, under a safe form of its own name that no other file has."""
        parameters = _cell(record, field, event, repeat_instance)
        return self._download(Request("file", "export", parameters, expect=Expect.BYTES), Path(folder))

    def import_file(
        self,
        record: str,
        field: str,
        path: Path,
        *,
        name: str = "",
        event: str = "",
        repeat_instance: int | None = None,
    ) -> None:
        """Upload a file into a field of an existing record, under its own name or another."""
        self._done("file", "import", _cell(record, field, event, repeat_instance), _upload(path, name))

    def delete_file(self, record: str, field: str, *, event: str = "", repeat_instance: int | None = None) -> None:
        """Delete the file in a field."""
        self._done("file", "delete", _cell(record, field, event, repeat_instance))

    # --- The file repository ---

    def file_repository(self, folder_id: int | None = None) -> tuple[model.RepositoryItem, ...]:
        """The files and folders in a folder of the file repository, or at its top."""
        return self._items(model.RepositoryItem, Request("fileRepository", "list", {"folder_id": folder_id}))

    def create_repository_folder(
        self, name: str, *, folder_id: int | None = None, dag_id: int | None = None, role_id: int | None = None
    ) -> int:
        """Create a folder in the file repository and return its id; `dag_id` or `role_id` limit who sees it.

        It is created at the top, or in the folder with `folder_id`.
        """
        parameters: dict[str, Parameter] = {
            "name": name,
            "folder_id": folder_id,
            "dag_id": dag_id,
            "role_id": role_id,
        }
        request = change("fileRepository", "createFolder", parameters, expect=Expect.ROWS)
        return self._change(request, lambda body: int(only_object(body)["folder_id"]))

    def export_repository_file(self, doc_id: int, folder: Path) -> SavedFile:
        """Download a file of the file repository into the folder, as `export_file` does."""
        request = Request("fileRepository", "export", {"doc_id": doc_id}, expect=Expect.BYTES)
        return self._download(request, Path(folder))

    def import_repository_file(self, path: Path, *, name: str = "", folder_id: int | None = None) -> None:
        """Upload a file into the file repository, at its top or in a folder."""
        self._done("fileRepository", "import", {"folder_id": folder_id}, _upload(path, name))

    def delete_repository_file(self, doc_id: int) -> None:
        """Delete a file of the file repository; REDCap keeps it in its bin for thirty days."""
        self._done("fileRepository", "delete", {"doc_id": doc_id})

    # --- PDFs ---

    def export_instruments_pdf(
        self,
        sink: Path,
        *,
        record: str = "",
        event: str = "",
        instrument: str = "",
        repeat_instance: int | None = None,
        all_records: bool = False,
        compact_display: bool = False,
    ) -> Received:
        """Write the instruments to a PDF file: blank forms, or a record's, or with `all_records` those of all."""
        parameters: dict[str, Parameter] = {
            "record": record,
            "event": event,
            "instrument": instrument,
            "repeat_instance": repeat_instance,
            # Its mere presence, with any value, asks for all records.
            "allRecords": True if all_records else None,
            "compactDisplay": True if compact_display else None,
        }
        return self._to_file(Request("pdf", parameters=parameters, expect=Expect.PDF), sink)


def _cell(record: str, field: str, event: str, repeat_instance: int | None) -> dict[str, Parameter]:
    return {"record": record, "field": field, "event": event, "repeat_instance": repeat_instance}


def _upload(path: Path, name: str) -> Upload:
    return Upload(Path(path), name or Path(path).name)
