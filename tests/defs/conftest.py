"""The fixtures of these tests: a simulated REDCap and a Dagster instance in a folder that can be searched."""

from tests.support.dagster_house import house, night

__all__ = ["house", "night"]
