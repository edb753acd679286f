"""Rows of the log, of surveys, of the file repository and of randomization."""

from dataclasses import dataclass

from redcap_source.model.rows import ApiRow, Row, from_key, rest, whole


@dataclass(frozen=True, slots=True)
class LogRow(ApiRow):
    """A row of the project's log. The time is the server's own, in whole minutes; there is no id.

    `details` quotes values, `action` and `record` name the participant, so they are not in the repr.
    `record` is None before REDCap 12 or so.
    """

    timestamp: str = from_key(required=True)
    username: str | None = from_key()
    action: str | None = from_key(private=True)
    details: str | None = from_key(private=True)
    record: str | None = from_key(private=True)
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class Participant(ApiRow):
    """A row of a survey's participant list; none of it is in the repr. Its link opens the survey.

    `response_status` is 0 for none, 1 for partial, 2 for complete.
    """

    email: str | None = from_key(private=True)
    email_occurrence: int | None = from_key(whole, private=True)
    identifier: str | None = from_key(private=True)
    record: str | None = from_key(private=True)
    invitation_sent_status: int | None = from_key(whole, private=True)
    invitation_send_time: str | None = from_key(private=True)
    response_status: int | None = from_key(whole, private=True)
    survey_access_code: str | None = from_key(private=True)
    survey_link: str | None = from_key(private=True)
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class RepositoryItem(ApiRow):
    """A file (with a `doc_id`) or a folder (with a `folder_id`) of the file repository."""

    folder_id: int | None = from_key(whole)
    doc_id: int | None = from_key(whole)
    name: str | None = from_key(private=True)
    role: str | None = from_key()
    dag: str | None = from_key()
    extra: Row = rest()


@dataclass(frozen=True, slots=True)
class Randomization(ApiRow):
    """The group that a record was randomized to; `target_field_alt` is `*` where it is concealed."""

    randomization_id: int | None = from_key(whole)
    record: str | None = from_key(private=True)
    target_field: str | None = from_key(private=True)
    target_field_alt: str | None = from_key(private=True)
    extra: Row = rest()
