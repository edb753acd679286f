"""The page on how the simulator differs from real servers is the table that the tests use."""

from __future__ import annotations

import os
from dataclasses import fields

from redcap_source.simulator import Behaviour
from tests.simulator.differences import SWITCHES, table
from tests.support.root import ROOT

PAGE = ROOT / "docs" / "simulator-differences.md"


def test_every_switch_stands_in_the_docs():
    assert set(SWITCHES) == {field.name for field in fields(Behaviour)}


def test_the_table_in_the_docs_is_this_one():
    if os.environ.get("REDCAP_WRITE_DIFFERENCES"):
        PAGE.write_text(table(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == table(), "write it anew with REDCAP_WRITE_DIFFERENCES=1"
