"""The Dagster definitions: assets, checks, jobs, schedules and resources; definitions.py puts them together."""
