"""content=log: the project's log, newest row first."""

from __future__ import annotations

from redcap_source.simulator.api.call import Answer, Call
from redcap_source.simulator.state.log import MINUTE, LogRow, log_minute
from redcap_source.simulator.versions import keys_known
from redcap_source.simulator.wire.formats import Row, Table


def export_log(call: Call) -> Answer:
    """The rows that a request asks for; users in a data access group see only those about its records.

    An administrator in a group sees all rows.
    """
    call.require("api_export", "logging")
    call.log("manage", "Manage/Design ", "Export Logging (API)")
    keys = keys_known("log", ("timestamp", "username", "action", "details", "record"), call.site.version)
    if not call.behaviour.log_has_record:
        keys = [key for key in keys if key != "record"]
    rows = [_cells(row) for row in _rows(call)]
    return call.table(Table(keys, [{key: row[key] for key in keys} for row in rows], root="logs"))


def _rows(call: Call) -> list[LogRow]:
    parameters, project = call.parameters, call.project
    rows = project.log.select(
        logtype=parameters.text("logtype"),
        user=parameters.text("user"),
        record=parameters.text("record"),
        begin=log_minute(parameters.text("beginTime"), is_end=False),
        end=log_minute(parameters.text("endTime"), is_end=True),
        inclusive=(call.behaviour.log_begin_inclusive, call.behaviour.log_end_inclusive),
    )
    user = project.users[call.username]
    own_group = "" if user.everything else user.group
    group = own_group or _group_asked(call)
    if not group:
        return rows
    members = {record.id for record in project.records if record.group == group}
    # A request that names a group gets the rows of its users too, as PHPCap's suite does from a live server.
    people = set() if own_group else {user.username for user in project.users.values() if user.group == group}
    return [row for row in rows if row.record in members or row.user in people]


def _cells(row: LogRow) -> Row:
    return {
        "timestamp": row.at[:MINUTE],
        "username": row.user,
        "action": row.action,
        "details": row.details,
        "record": row.record,
    }


def _group_asked(call: Call) -> str:
    """The unique name of the group in `dag`, which may be its id."""
    asked = call.parameters.text("dag")
    groups = call.project.groups.values()
    return next((g.unique_name for g in groups if asked in (str(g.group_id), g.unique_name)), asked)
