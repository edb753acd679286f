"""From form parameters to an answer: who asks, for what, and which handler says it.

Nothing here knows sockets; server.py hands in parameters and sends what comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from redcap_source.simulator.api import files as file_answers
from redcap_source.simulator.api import pdf as pdf_answers
from redcap_source.simulator.api import projects as project_answers
from redcap_source.simulator.api import records_export as record_answers
from redcap_source.simulator.api import records_import as record_writes
from redcap_source.simulator.api import setup_export as structure
from redcap_source.simulator.api import setup_import as setup_writes
from redcap_source.simulator.api import surveys as survey_answers
from redcap_source.simulator.api import users_export as user_answers
from redcap_source.simulator.api import users_import as user_writes
from redcap_source.simulator.api.call import Answer, Call, action_of, return_format_of, text_answer
from redcap_source.simulator.errors import NO_API_PERMISSION, Refusal
from redcap_source.simulator.state.log import MINUTE, log_minute
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.versions import METHODS_SINCE, is_from, keys_known
from redcap_source.simulator.wire.formats import CONTENT_TYPES, Row, Table, error_text
from redcap_source.simulator.wire.parameters import Parameters

Handler = Callable[[Call], Answer]

BAD_CONTENT = 'The value of the parameter "content" is not valid'
BAD_FORMAT_NAME = 'The value of the parameter "format" is not valid'


def answer(site: Site, parameters: Parameters) -> Answer:
    """Answer one request."""
    form = return_format_of(parameters)
    try:
        call = _call_of(site, parameters)
        if isinstance(call, Answer):
            return call
        handler = _handler(parameters, site.version)
        _refuse_unknown_format(call)
        with call.project.lock:
            return handler(call)
    except Refusal as refusal:
        return text_answer(error_text(refusal.text, form), form, refusal.status)


def _call_of(site: Site, parameters: Parameters) -> Call | Answer:
    token = parameters.text("token")
    if site.super_token and token == site.super_token:
        return _super_answer(site, parameters)
    owner = site.tokens.get(token)
    if owner is None:
        raise Refusal(NO_API_PERMISSION, site.behaviour.bad_token_status)
    project = site.projects[owner[0]]
    user = project.users.get(owner[1])
    if user is None or (user.expiration and user.expiration <= site.clock.local()[:10]):
        raise Refusal(NO_API_PERMISSION, site.behaviour.bad_token_status)
    rights = project.rights_of(user.username)
    if not (rights.may("api_export") or rights.may("api_import")):
        raise Refusal(NO_API_PERMISSION, site.behaviour.bad_token_status)
    return Call(site, project, user.username, parameters)


def _super_answer(site: Site, parameters: Parameters) -> Answer:
    if parameters.text("content") == "version":
        return text_answer(site.version, return_format_of(parameters))
    handler = SUPER_HANDLERS.get((parameters.text("content"), action_of(parameters)))
    if handler is None:
        raise Refusal(BAD_CONTENT)
    return handler(site, parameters)


def _handler(parameters: Parameters, version: str) -> Handler:
    content, action = parameters.text("content"), action_of(parameters)
    known = {method for method in HANDLERS if is_from(version, METHODS_SINCE.get(method, ""))}
    if (content, action) in known:
        return HANDLERS[content, action]
    if any(content == other for other, _ in known):
        raise Refusal('The value of the parameter "action" is not valid')
    raise Refusal(BAD_CONTENT)


def _refuse_unknown_format(call: Call) -> None:
    asked = call.parameters.text("format").lower()
    if asked and asked not in CONTENT_TYPES and call.behaviour.unknown_format == "refuse":
        raise Refusal(BAD_FORMAT_NAME)


def _version(call: Call) -> Answer:
    call.note("manage", "Manage/Design ", "Export REDCap version (API)")
    return call.text(call.site.version)


def _table(make: Callable[[Call], Table], noted: str) -> Handler:
    def handle(call: Call) -> Answer:
        _require_export(call)
        table = make(call)
        call.note("manage", "Manage/Design ", noted)
        return call.table(table)

    return handle


def _require_export(call: Call) -> None:
    call.require("api_export", "You do not have API Export privileges")


def _with_right(right: str, text: str, handler: Handler) -> Handler:
    def handle(call: Call) -> Answer:
        call.require(right, text)
        return handler(call)

    return handle


def _ungrouped(handler: Handler) -> Handler:
    def handle(call: Call) -> Answer:
        user_writes.refuse_grouped(call)
        return handler(call)

    return handle


def _exporting(handler: Handler) -> Handler:
    def handle(call: Call) -> Answer:
        _require_export(call)
        return handler(call)

    return handle


def _metadata(call: Call) -> Table:
    refuse = call.behaviour.unknown_names == "refuse"
    return structure.metadata(
        call.project, call.parameters.items("fields"), call.parameters.items("forms"), refuse=refuse
    )


def _project_info(call: Call) -> Answer:
    _require_export(call)
    call.note("manage", "Manage/Design ", "Export project information (API)")
    return call.object(dict(structure.project_info(call.project, call.site.version)))  # type: ignore[arg-type]


def _log(call: Call) -> Answer:
    _require_export(call)
    call.require("logging", "You do not have permission to export the logging of this project")
    call.note("manage", "Manage/Design ", "Export Logging (API)")
    return call.table(_log_table(call))


def _log_table(call: Call) -> Table:
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
    if group:
        members = {record.id for record in project.records if record.group == group}
        # Who asks for a group gets the rows of its users too, as PHPCap's suite does from a live server.
        people = set() if own_group else {user.username for user in project.users.values() if user.group == group}
        rows = [row for row in rows if row.record in members or row.user in people]
    keys = keys_known("log", ("timestamp", "username", "action", "details", "record"), call.site.version)
    if not call.behaviour.log_has_record:
        keys = [key for key in keys if key != "record"]
    shown: list[Row] = [
        {"timestamp": r.at[:MINUTE], "username": r.user, "action": r.action, "details": r.details, "record": r.record}
        for r in rows
    ]
    return Table(keys, [{key: row[key] for key in keys} for row in shown], root="logs")


def _group_asked(call: Call) -> str:
    asked = call.parameters.text("dag")
    groups = call.project.groups.values()
    return next((g.unique_name for g in groups if asked in (str(g.group_id), g.unique_name)), asked)


_USERS = _with_right(
    "user_rights",
    "You do not have User Rights privileges",
    _table(lambda call: user_answers.users(call.project, call.behaviour, call.site.version), "Export users (API)"),
)
_ROLES = _with_right(
    "user_rights",
    "You do not have User Rights privileges",
    _table(lambda call: user_answers.roles(call.project, call.behaviour, call.site.version), "Export user roles (API)"),
)
_ROLE_MAPPING = _with_right(
    "user_rights",
    "You do not have User Rights privileges",
    _table(
        lambda call: user_answers.role_mapping(call.project, call.site.version), "Export user role assignments (API)"
    ),
)
_GROUPS = _with_right(
    "data_access_groups",
    user_writes.NO_GROUPS,
    _ungrouped(_table(lambda call: user_answers.groups(call.project, call.site.version), "Export DAGs (API)")),
)
_GROUP_MAPPING = _with_right("data_access_groups", user_writes.NO_GROUPS, _ungrouped(_table(
    lambda call: user_answers.group_mapping(call.project), "Export User-DAG assignments (API)")))  # fmt: skip

HANDLERS: dict[tuple[str, str], Handler] = {
    ("version", "export"): _version,
    ("project", "export"): _project_info,
    ("metadata", "export"): _table(_metadata, "Download data dictionary (API)"),
    ("exportFieldNames", "export"): _table(
        lambda call: structure.export_field_names(call.project.dictionary, call.parameters.text("field")),
        "Download export field names (API)",
    ),
    ("instrument", "export"): _table(
        lambda call: structure.instruments(call.project.dictionary), "Export instruments (API)"
    ),
    ("arm", "export"): _table(
        lambda call: structure.arms(call.project, call.parameters.items("arms")), "Export arms (API)"
    ),
    ("event", "export"): _table(
        lambda call: structure.events(call.project, call.parameters.items("arms"), call.behaviour),
        "Export events (API)",
    ),
    ("formEventMapping", "export"): _table(
        lambda call: structure.form_event_mapping(call.project, call.parameters.items("arms")),
        "Export instrument-event mappings (API)",
    ),
    ("repeatingFormsEvents", "export"): _with_right(
        "design",
        "You do not have Project Design and Setup privileges",
        _table(
            lambda call: structure.repeating_forms_events(call.project),
            "Export repeating instruments and events (API)",
        ),
    ),
    ("user", "export"): _USERS,
    ("userRole", "export"): _ROLES,
    ("userRoleMapping", "export"): _ROLE_MAPPING,
    ("dag", "export"): _GROUPS,
    ("userDagMapping", "export"): _GROUP_MAPPING,
    ("log", "export"): _log,
    ("record", "export"): _exporting(record_answers.export_records),
    ("report", "export"): _exporting(record_answers.export_report),
    ("generateNextRecordName", "export"): _exporting(record_answers.next_record_name),
    ("record", "import"): record_writes.import_records,
    ("record", "delete"): record_writes.delete_records,
    ("record", "rename"): record_writes.rename_record,
    ("record", "randomize"): record_writes.randomize,
    ("metadata", "import"): setup_writes.import_metadata,
    ("arm", "import"): setup_writes.import_arms,
    ("arm", "delete"): setup_writes.delete_arms,
    ("event", "import"): setup_writes.import_events,
    ("event", "delete"): setup_writes.delete_events,
    ("formEventMapping", "import"): setup_writes.import_mapping,
    ("repeatingFormsEvents", "import"): setup_writes.import_repeats,
    ("user", "import"): user_writes.import_users,
    ("user", "delete"): user_writes.delete_users,
    ("userRole", "import"): user_writes.import_roles,
    ("userRole", "delete"): user_writes.delete_roles,
    ("userRoleMapping", "import"): user_writes.import_role_mapping,
    ("dag", "import"): user_writes.import_groups,
    ("dag", "delete"): user_writes.delete_groups,
    ("dag", "switch"): user_writes.switch_group,
    ("userDagMapping", "import"): user_writes.import_group_mapping,
    ("file", "export"): file_answers.export_file,
    ("file", "import"): file_answers.import_file,
    ("file", "delete"): file_answers.delete_file,
    ("fileRepository", "createFolder"): file_answers.create_folder,
    ("fileRepository", "list"): file_answers.list_repository,
    ("fileRepository", "export"): file_answers.export_document,
    ("fileRepository", "import"): file_answers.import_document,
    ("fileRepository", "delete"): file_answers.delete_document,
    ("pdf", "export"): pdf_answers.pdf,
    ("surveyLink", "export"): survey_answers.survey_link,
    ("surveyQueueLink", "export"): survey_answers.survey_queue_link,
    ("surveyReturnCode", "export"): survey_answers.survey_return_code,
    ("surveyAccessCode", "export"): survey_answers.survey_access_code,
    ("participantList", "export"): survey_answers.participant_list,
    ("project_settings", "import"): project_answers.import_settings,
    ("project_xml", "export"): project_answers.export_xml,
}
SUPER_HANDLERS: Mapping[tuple[str, str], Callable[[Site, Parameters], Answer]] = {
    ("project", "import"): project_answers.create_project,
}
