"""Load a project from whatever a path holds: a project XML, a folder of tables, or a lone data dictionary."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.loaders.folder import (
    Folder,
    only,
    project_from_dictionary,
    project_from_folder,
    take_beside,
    take_settings,
)
from redcap_source.simulator.loaders.odm import project_from_xml
from redcap_source.simulator.loaders.tables import is_gzipped, read_bytes
from redcap_source.simulator.state.project import Project

# Byte order marks, and blanks.
_BEFORE_XML = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"


def load_project(path: str | Path, *, left_out: list[str] | None = None) -> Project:
    """The project that lies at a path, not yet on any server.

    A data dictionary that REDCap would refuse is refused. With a list as `left_out` what can be loaded is loaded, and
    the list is filled with what was left out and why: a sentence a dictionary row.
    """
    path = Path(path)
    if not path.exists():
        raise SimulatorError(f"There is nothing at {path}; give a project XML, a data dictionary CSV or a folder.")
    if path.is_dir():
        return _from_folder(path, left_out)
    content = _unpacked(path)
    # What a file holds counts, not how it is called: people save dictionaries as .txt and .tsv, too.
    if path.suffix.lower() == ".xml" or content.lstrip(_BEFORE_XML).startswith(b"<"):
        return project_from_xml(content, str(path))
    return project_from_dictionary(content, path, left_out)


def _from_folder(path: Path, left_out: list[str] | None) -> Project:
    named = (path / "project.xml", path / "project.xml.gz")
    found = next((p for p in named if p.exists()), None)
    if found is None and Folder(path).file("metadata", "data_dictionary") is None:
        found = only(path, "*.xml")
    if found is None:
        return project_from_folder(path, left_out)
    project = project_from_xml(_unpacked(found), str(found))
    take_settings(project, Folder(path))
    # An XML has no people who are not roles, and records only if they were exported with it.
    take_beside(project, Folder(path))
    return project


def _unpacked(path: Path) -> bytes:
    content = read_bytes(path)
    if not is_gzipped(content):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise SimulatorError(f"{path} is a damaged gzip file ({error}).") from error
