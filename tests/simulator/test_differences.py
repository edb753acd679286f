"""The page that says where the simulator differs from real servers is kept as the tests know it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.simulator.differences import table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulator-differences.md"


def test_the_table_in_the_docs_is_this_one():
    if os.environ.get("REDCAP_WRITE_DIFFERENCES"):
        PAGE.write_text(table(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == table(), "write it anew with REDCAP_WRITE_DIFFERENCES=1"
