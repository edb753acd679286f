"""The id that auto-numbering gives the next record."""

from __future__ import annotations

from redcap_source.simulator.state.project import Project
from redcap_source.simulator.whole_numbers import number_or


def next_record_id(project: Project, username: str) -> str:
    """The largest whole number among the ids plus one; for users in a data access group, after its number."""
    group = project.groups.get(project.users[username].group)
    ids = project.records.ids()
    if group is None:
        return str(1 + max((number_or(record, 0) for record in ids), default=0))
    prefix = f"{group.group_id}-"
    tails = (record.removeprefix(prefix) for record in ids if record.startswith(prefix))
    return prefix + str(1 + max((number_or(tail, 0) for tail in tails), default=0))
