"""The fixtures of these tests: a simulated REDCap and a Dagster instance in a folder that can be searched."""

from tests.support.dagster_house import first_night, house, night, second_night

__all__ = ["first_night", "house", "night", "second_night"]
