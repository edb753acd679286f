"""A machine without the recorded answers of real servers runs the suite all the same: what needs them says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.support.recordings import REASON, VARIABLE

TESTS = Path(__file__).resolve().parent
MARK = re.compile(r"^(pytestmark = |@)pytest\.mark\.recorded$", re.MULTILINE)
MODULES = sorted(TESTS.rglob("test_*.py"))
MARKED = [path for path in MODULES if MARK.search(path.read_text(encoding="utf-8"))]
# The doors through which a test could come to the recordings.
LOOKS = re.compile(rf"recorded_folder|{VARIABLE}|parent / \"shared\"|\brecorded\b *[/,)]")


# The last command of .ci/run does the same.
@pytest.mark.fuzz
def test_without_the_recordings_each_test_that_needs_them_is_skipped_with_the_reason(tmp_path):
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-m", "recorded", f"--junit-xml={report}"]
    run = subprocess.run(
        [*command, *map(str, MARKED)],
        cwd=TESTS.parent,
        env=os.environ | {VARIABLE: str(tmp_path / "not there")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    cases = ElementTree.parse(report).getroot().iter("testcase")
    outcomes = [[(child.tag, child.get("message")) for child in case] for case in cases]
    assert len(outcomes) > 60
    assert [outcome for outcome in outcomes if outcome != [("skipped", REASON)]] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_only_marked_modules_look_for_the_recordings(path):
    if path not in MARKED and path != Path(__file__):
        assert LOOKS.findall(path.read_text(encoding="utf-8")) == []
