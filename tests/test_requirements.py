"""The lock files fit the extras they pin, and `make test` fails if either of its runs does."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from tests.support.root import ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def locked(name: str) -> dict[str, str]:
    """What a lock file installs: package -> version."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[\S+\])?==(\S+)", text, re.MULTILINE))


def name_of(requirement: str) -> str:
    return re.split(r"[^a-z0-9-]", requirement)[0]


def test_the_lock_of_the_lake_holds_its_extras_and_nothing_else():
    wanted = {*EXTRAS["ducklake"], *EXTRAS["s3"]}
    pins = locked("requirements-lake.lock")
    assert set(pins) == {name_of(requirement) for requirement in wanted}
    exact = dict(requirement.split("==") for requirement in wanted if "==" in requirement)
    assert {name: pins[name] for name in exact} == exact


def test_a_usual_installation_has_nothing_of_the_lake():
    assert set(locked("requirements.lock")) & set(locked("requirements-lake.lock")) == {"duckdb"}


@pytest.mark.parametrize(
    ("ordinary", "lake", "passes"), [("true", "true", True), ("false", "true", False), ("true", "false", False)]
)
def test_make_test_passes_if_both_runs_do(ordinary, lake, passes):
    installed = [word for stamp in ("dev", "lake") for word in ("-o", f".venv/.installed-{stamp}")]
    command = ["make", "-C", str(ROOT), *installed, "test", f"TESTS={ordinary}", f"LAKE_TESTS={lake}"]
    assert (subprocess.run(command, capture_output=True, check=False).returncode == 0) == passes
