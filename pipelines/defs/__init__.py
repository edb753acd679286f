"""The Dagster definitions: assets, checks, jobs, schedules and resources."""
