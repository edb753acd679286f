"""The first number of every advisory lock, which keeps kinds of locks apart; the second is the id of a row.

Any program that uses the same database could use the same numbers, so these are unlikely ones.
"""

from __future__ import annotations

SCHEMA = 1_919_247_361
PUBLISHER = SCHEMA + 1
PROJECT = SCHEMA + 2
SLOT = SCHEMA + 3
RUN = SCHEMA + 4
ROUND = SCHEMA + 5
