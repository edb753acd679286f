"""Where the recorded answers of real servers lie; the only place that looks for them.

A test that needs them carries the mark `recorded`. They are not part of the repository: where they are absent, every
test of that mark is skipped and says why (tests/conftest.py).
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.root import ROOT

VARIABLE = "REDCAP_RECORDED"
REASON = f"the recorded answers of real servers are not on this machine (set {VARIABLE} to their folder)"
_BESIDE = ROOT.parent / "shared" / "recorded"


def recorded_folder() -> Path | None:
    """The folder $REDCAP_RECORDED names, else the one beside the checkout; None where there is none."""
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else _BESIDE
    return folder if folder.is_dir() else None
