"""Extensions that are Python packages: which one is found, and what a person is told if none fits."""

import sys
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import ConfigError, ExtensionUnusable
from pipelines.warehouse.database import extensions
from pipelines.warehouse.database.connection import DatabaseError, connect, harden
from pipelines.warehouse.database.extensions import EXTRAS, check_extras, find_extension, load_extension


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that Python imports packages from before all others."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def installed(packages: Path, package: str, version: str, name: str) -> Path:
    """A package with one extension for one version of DuckDB."""
    file = packages / package / "extensions" / f"v{version}" / f"{name}.duckdb_extension"
    file.parent.mkdir(parents=True)
    file.touch()
    (packages / package / "__init__.py").touch()
    return file


@pytest.mark.parametrize("package", ["duckdb_extension_invented", "duckdb_core_ext_invented"])
def test_the_extension_for_the_running_duckdb_is_found_by_either_name_of_its_package(packages, package):
    file = installed(packages, package, duckdb.__version__, "invented")
    assert find_extension("invented") == file
    assert package not in sys.modules, "finding an extension must not execute its package"


def test_an_extension_that_is_not_installed_names_the_extra_to_install():
    assert find_extension("invented") is None
    with duckdb.connect() as connection, pytest.raises(ExtensionUnusable, match=r"invented is not.*`ducklake`"):
        load_extension(connection, "invented")


def test_an_extension_for_another_duckdb_is_not_loaded_and_both_versions_are_named(packages):
    installed(packages, "duckdb_extension_invented", "1.2.3", "invented")
    with duckdb.connect() as connection, pytest.raises(ExtensionUnusable) as refused:
        load_extension(connection, "invented")
    assert "1.2.3" in str(refused.value) and duckdb.__version__ in str(refused.value)


@pytest.mark.parametrize(
    ("in_bucket", "extras"), [(False, "extra `ducklake` of"), (True, "extras `ducklake` and `s3`")]
)
def test_what_a_store_lacks_is_told_at_once_with_the_extras_and_the_running_duckdb(
    packages, monkeypatch, in_bucket, extras
):
    for name in EXTRAS:
        # Before those that may be installed: packages without a file for the running version.
        installed(packages, f"duckdb_extension_{name}", "1.2.3", name)
    monkeypatch.setattr(duckdb, "__version__", "9.9.9")
    with pytest.raises(ConfigError) as refused:
        check_extras(in_bucket=in_bucket)
    told = str(refused.value)
    assert extras in told and "DuckDB 9.9.9" in told
    assert ("httpfs" in told) == in_bucket
    assert "ducklake, DuckDB's extension postgres_scanner" in told


def test_a_store_in_a_folder_needs_no_extension_for_buckets(packages):
    for name in ("ducklake", "postgres_scanner"):
        installed(packages, f"duckdb_extension_{name}", duckdb.__version__, name)
    check_extras(in_bucket=False)


@pytest.mark.lake
def test_a_signature_is_verified_once_a_process_and_again_for_another_file(packages, monkeypatch):
    monkeypatch.setattr(extensions, "_SIGNED", set())
    with connect() as first:
        load_extension(first, "httpfs")
        with pytest.raises(duckdb.InvalidInputException):
            first.execute("SET allow_unsigned_extensions = true")
    signed = find_extension("httpfs")
    assert signed is not None and len(extensions._SIGNED) == 1
    copy = installed(packages, "duckdb_extension_httpfs", duckdb.__version__, "httpfs")
    content = bytearray(signed.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert find_extension("httpfs") == copy
    with connect() as second:
        for _ in range(2):
            with pytest.raises(DatabaseError, match="signature"):
                load_extension(second, "httpfs")
        copy.write_bytes(signed.read_bytes())
        load_extension(second, "httpfs")
        # What a person asks for afterwards is refused, signed or not.
        harden(second, [])
        with pytest.raises(DatabaseError, match="disabled"):
            second.execute(f"LOAD '{find_extension('ducklake')}'")
