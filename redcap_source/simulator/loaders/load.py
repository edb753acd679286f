"""A project from whatever a path holds: a project XML, a folder of tables, or a data dictionary alone."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.loaders.folder import (
    Folder,
    project_from_dictionary,
    project_from_folder,
    read_beside,
    read_settings,
    single_file,
)
from redcap_source.simulator.loaders.odm import project_from_xml
from redcap_source.simulator.loaders.tables import is_gzipped, read_bytes
from redcap_source.simulator.state.project import Project

# Bytes of byte order marks, and blanks.
_BEFORE_XML = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"


def load_project(path: str | Path, *, left_out: list[str] | None = None) -> Project:
    """The project in a file or folder; it is on no server yet.

    Raises SimulatorError for what cannot be read, and for a data dictionary that REDCap would refuse. With a list as
    `left_out` the rows that it would refuse are left out, and the list gets a sentence for each.
    """
    path = Path(path)
    if not path.exists():
        raise SimulatorError(f"There is nothing at {path}; give a project XML, a data dictionary CSV or a folder.")
    if path.is_dir():
        return _from_folder(path, left_out)
    content = _unpacked(path)
    # The content counts, not the name: people save dictionaries as .txt and .tsv, too.
    if path.suffix.lower() == ".xml" or content.lstrip(_BEFORE_XML).startswith(b"<"):
        return project_from_xml(content, str(path))
    return project_from_dictionary(content, path, left_out)


def _from_folder(path: Path, left_out: list[str] | None) -> Project:
    named = (path / "project.xml", path / "project.xml.gz")
    found = next((p for p in named if p.exists()), None)
    if found is None and Folder(path).file("metadata", "data_dictionary") is None:
        found = single_file(path, "*.xml")
    if found is None:
        return project_from_folder(path, left_out)
    project = project_from_xml(_unpacked(found), str(found))
    read_settings(project, Folder(path))
    # An XML has roles but no users, and records only if they were exported with it.
    read_beside(project, Folder(path))
    return project


def _unpacked(path: Path) -> bytes:
    content = read_bytes(path)
    if not is_gzipped(content):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise SimulatorError(f"{path} is a damaged gzip file ({error}); copy it again.") from error
