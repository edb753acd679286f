"""From form parameters to an answer: finds the user, the project and the handler of a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from redcap_source.simulator.api import (
    files,
    log_export,
    pdf,
    projects,
    records_export,
    records_import,
    setup_export,
    setup_import,
    surveys,
    users_export,
    users_import,
)
from redcap_source.simulator.api.call import Answer, Call, action_of, return_format_of, text_answer
from redcap_source.simulator.errors import NO_API_PERMISSION, Refusal
from redcap_source.simulator.state.site import Site
from redcap_source.simulator.versions import METHODS_SINCE, is_from
from redcap_source.simulator.wire.formats import CONTENT_TYPES, Table, error_text
from redcap_source.simulator.wire.parameters import Parameters

Handler = Callable[[Call], Answer]

BAD_CONTENT = 'The value of the parameter "content" is not valid'
BAD_ACTION = 'The value of the parameter "action" is not valid'
BAD_FORMAT_NAME = 'The value of the parameter "format" is not valid'


def answer(site: Site, parameters: Parameters) -> Answer:
    """Answer one request; a refusal is an answer too."""
    form = return_format_of(parameters)
    try:
        if site.super_token and parameters.text("token") == site.super_token:
            return _super_answer(site, parameters)
        call = _call_of(site, parameters)
        handler = _handler(parameters, site.version)
        _refuse_unknown_format(call)
        with call.project.lock:
            return handler(call)
    except Refusal as refusal:
        return text_answer(error_text(refusal.text, form), form, refusal.status)


def _super_answer(site: Site, parameters: Parameters) -> Answer:
    if parameters.text("content") == "version":
        return text_answer(site.version, return_format_of(parameters))
    handler = SUPER_HANDLERS.get((parameters.text("content"), action_of(parameters)))
    if handler is None:
        raise Refusal(BAD_CONTENT)
    return handler(site, parameters)


def _call_of(site: Site, parameters: Parameters) -> Call:
    refusal = Refusal(NO_API_PERMISSION, site.behaviour.bad_token_status)
    owner = site.tokens.get(parameters.text("token"))
    if owner is None:
        raise refusal
    project = site.projects[owner[0]]
    user = project.users.get(owner[1])
    if user is None or (user.expiration and user.expiration <= site.clock.local()[:10]):
        raise refusal
    rights = project.rights_of(user.username)
    if not (rights.may("api_export") or rights.may("api_import")):
        raise refusal
    return Call(site, project, user.username, parameters)


def _handler(parameters: Parameters, version: str) -> Handler:
    content, action = parameters.text("content"), action_of(parameters)
    known = {method for method in HANDLERS if is_from(version, METHODS_SINCE.get(method, ""))}
    if (content, action) in known:
        return HANDLERS[content, action]
    if any(content == other for other, _ in known):
        raise Refusal(BAD_ACTION)
    raise Refusal(BAD_CONTENT)


def _refuse_unknown_format(call: Call) -> None:
    asked = call.parameters.text("format").lower()
    if asked and asked not in CONTENT_TYPES and call.behaviour.unknown_format == "refuse":
        raise Refusal(BAD_FORMAT_NAME)


def _version(call: Call) -> Answer:
    call.log("manage", "Manage/Design ", "Export REDCap version (API)")
    return call.text(call.site.version)


def _table(make: Callable[[Call], Table], logged: str, *rights: str) -> Handler:
    """The handler that answers with a table, for users with these rights and the right to export."""

    def handle(call: Call) -> Answer:
        call.require(*rights, "api_export")
        table = make(call)
        call.log("manage", "Manage/Design ", logged)
        return call.table(table)

    return handle


def _group_table(make: Callable[[Call], Table], logged: str) -> Handler:
    """The same for a table about data access groups, which users in one may not see."""
    handle_table = _table(make, logged)

    def handle(call: Call) -> Answer:
        call.require("data_access_groups")
        users_import.refuse_grouped(call)
        return handle_table(call)

    return handle


def _exporting(handler: Handler) -> Handler:
    def handle(call: Call) -> Answer:
        call.require("api_export")
        return handler(call)

    return handle


HANDLERS: dict[tuple[str, str], Handler] = {
    ("version", "export"): _version,
    ("project", "export"): setup_export.export_project_info,
    ("metadata", "export"): _table(setup_export.metadata, "Download data dictionary (API)"),
    ("exportFieldNames", "export"): _table(setup_export.export_field_names, "Download export field names (API)"),
    ("instrument", "export"): _table(setup_export.instruments, "Export instruments (API)"),
    ("arm", "export"): _table(setup_export.arms, "Export arms (API)"),
    ("event", "export"): _table(setup_export.events, "Export events (API)"),
    ("formEventMapping", "export"): _table(setup_export.form_event_mapping, "Export instrument-event mappings (API)"),
    ("repeatingFormsEvents", "export"): _table(
        setup_export.repeating_forms_events, "Export repeating instruments and events (API)", "design"
    ),
    ("user", "export"): _table(users_export.users, "Export users (API)", "user_rights"),
    ("userRole", "export"): _table(users_export.roles, "Export user roles (API)", "user_rights"),
    ("userRoleMapping", "export"): _table(
        users_export.role_mapping, "Export user role assignments (API)", "user_rights"
    ),
    ("dag", "export"): _group_table(users_export.groups, "Export DAGs (API)"),
    ("userDagMapping", "export"): _group_table(users_export.group_mapping, "Export User-DAG assignments (API)"),
    ("log", "export"): log_export.export_log,
    ("record", "export"): _exporting(records_export.export_records),
    ("report", "export"): _exporting(records_export.export_report),
    ("generateNextRecordName", "export"): _exporting(records_export.next_record_name),
    ("record", "import"): records_import.import_records,
    ("record", "delete"): records_import.delete_records,
    ("record", "rename"): records_import.rename_record,
    ("record", "randomize"): records_import.randomize,
    ("metadata", "import"): setup_import.import_metadata,
    ("arm", "import"): setup_import.import_arms,
    ("arm", "delete"): setup_import.delete_arms,
    ("event", "import"): setup_import.import_events,
    ("event", "delete"): setup_import.delete_events,
    ("formEventMapping", "import"): setup_import.import_mapping,
    ("repeatingFormsEvents", "import"): setup_import.import_repeats,
    ("user", "import"): users_import.import_users,
    ("user", "delete"): users_import.delete_users,
    ("userRole", "import"): users_import.import_roles,
    ("userRole", "delete"): users_import.delete_roles,
    ("userRoleMapping", "import"): users_import.import_role_mapping,
    ("dag", "import"): users_import.import_groups,
    ("dag", "delete"): users_import.delete_groups,
    ("dag", "switch"): users_import.switch_group,
    ("userDagMapping", "import"): users_import.import_group_mapping,
    ("file", "export"): files.export_file,
    ("file", "import"): files.import_file,
    ("file", "delete"): files.delete_file,
    ("fileRepository", "createFolder"): files.create_folder,
    ("fileRepository", "list"): files.list_repository,
    ("fileRepository", "export"): files.export_document,
    ("fileRepository", "import"): files.import_document,
    ("fileRepository", "delete"): files.delete_document,
    ("pdf", "export"): pdf.export_pdf,
    ("surveyLink", "export"): surveys.survey_link,
    ("surveyQueueLink", "export"): surveys.survey_queue_link,
    ("surveyReturnCode", "export"): surveys.survey_return_code,
    ("surveyAccessCode", "export"): surveys.survey_access_code,
    ("participantList", "export"): surveys.participant_list,
    ("project_settings", "import"): projects.import_settings,
    ("project_xml", "export"): projects.export_xml,
}
# What the super token may request, besides the version.
SUPER_HANDLERS: Mapping[tuple[str, str], Callable[[Site, Parameters], Answer]] = {
    ("project", "import"): projects.create_project,
}
