"""The id that auto-numbering gives the next record."""

from __future__ import annotations

from redcap_source.simulator.api.call import Call
from redcap_source.simulator.whole_numbers import number_or


def next_name(call: Call) -> str:
    """The id that auto-numbering would give."""
    group = call.project.groups.get(call.project.users[call.username].group)
    ids = call.project.records.ids()
    if group is None:
        return str(1 + max((number_or(record, 0) for record in ids), default=0))
    prefix = f"{group.group_id}-"
    tails = (record.removeprefix(prefix) for record in ids if record.startswith(prefix))
    return prefix + str(1 + max((number_or(tail, 0) for tail in tails), default=0))
