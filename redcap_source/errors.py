"""The errors of this library, as one tree of exceptions.

    RedcapError
    ├── Transient               a retry may help
    │   ├── Unreachable           no connection
    │   ├── TimedOut              connected, no answer in time
    │   ├── TooSlow               the answer arrived too slowly
    │   ├── ServerOverloaded      408, 5xx
    │   ├── RateLimited           429
    │   ├── Truncated             the body ended early
    │   ├── EmptyAnswer           200 with nothing in it
    │   ├── NotRedcap             a web page instead of an answer: sign-on, maintenance, database down
    │   └── TooLarge              too much for the server's memory or a proxy: ask for less
    └── Permanent               a retry will not help
        ├── Banned                REDCap banned this address for too many requests
        ├── Blocked               something in front of REDCap rejects the request (403 with a web page)
        ├── Redirected            the URL is not the API's own; names the right one, if it is on the same host
        ├── WrongUrl              404, 405, 411, 501
        ├── InsecureUrl           http:// to a remote host
        ├── BadCertificate        TLS verification failed
        ├── TokenRefused          401, or 403 about the token
        ├── MissingRight          403 otherwise
        ├── RequestRefused        400
        │   ├── NotForClassicProjects
        │   ├── NothingConfigured
        │   ├── ImportRejected      with the cells that were rejected
        │   └── NothingImported     rows were sent and none was understood
        ├── OutcomeUnknown        a change was sent and never answered
        ├── AnswerTooLong         longer than this client's memory_limit or file_limit
        └── UnexpectedAnswer      an answer this library cannot read

The first line of a class's docstring is its message. No message, and no repr, holds a token or a participant's
value: REDCap's text, verbatim, is in `server_text`, for callers who may look at data.
Not here: which answer becomes which error (protocol/response_errors.py).
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "AnswerTooLong",
    "Asked",
    "BadCertificate",
    "Banned",
    "Blocked",
    "EmptyAnswer",
    "ImportRejected",
    "InsecureUrl",
    "MissingRight",
    "NotForClassicProjects",
    "NotRedcap",
    "NothingConfigured",
    "NothingImported",
    "OutcomeUnknown",
    "Permanent",
    "RateLimited",
    "RedcapError",
    "Redirected",
    "RejectedCell",
    "RequestContext",
    "RequestRefused",
    "ServerOverloaded",
    "TimedOut",
    "TokenRefused",
    "TooLarge",
    "TooSlow",
    "Transient",
    "Truncated",
    "UnexpectedAnswer",
    "Unreachable",
    "WrongUrl",
]


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The request that failed, its project and its server: the facts that every error carries."""

    content: str = ""
    action: str = ""
    project: str = ""
    server: str = ""
    smallest: bool = False
    """Whether the request cannot be split into smaller ones."""

    def __str__(self) -> str:
        """A few words for a message: `heart_study: record export`."""
        call = f"{self.content} {self.action or 'export'}" if self.content else "the call"
        return f"{self.project}: {call}" if self.project else call


Asked = RequestContext
"""The earlier name of `RequestContext`."""


class RedcapError(Exception):
    """A request to REDCap failed."""

    retry_hint: ClassVar[str] = ""
    remedy: ClassVar[str] = ""
    # How often the same request is sent at most, whatever the policy allows; None leaves that to the policy.
    max_attempts: ClassVar[int | None] = None

    def __init__(
        self,
        context: RequestContext | None = None,
        *,
        status: int | None = None,
        detail: str = "",
        message: str = "",
        server_text: str = "",
        retry_after: float | None = None,
        not_applied: bool = False,
    ) -> None:
        """`message` is REDCap's sentence without values, `server_text` the same with them.

        `detail` is a sentence of this library, `retry_after` the seconds that the server asks to wait.
        `not_applied` says that the request certainly changed nothing on the server.
        """
        self.context = context or RequestContext()
        self.content = self.context.content
        self.action = self.context.action
        self.project = self.context.project
        self.status = status
        self.detail = detail
        self.message = message
        self.server_text = server_text
        self.retry_after = retry_after
        self.not_applied = not_applied
        super().__init__(self._message())

    def _message(self) -> str:
        status = f" (status {self.status})" if self.status is not None else ""
        parts = [
            f"{self.context} failed{status}: {(self.__doc__ or '').splitlines()[0]}",
            self.detail,
            f'REDCap answered: "{self.message}".' if self.message else "",
            self.retry_hint,
            self.remedy,
        ]
        return " ".join(part for part in parts if part)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state: worker processes return errors, and the arguments are keyword-only."""
        return _remade, (type(self), dict(self.__dict__))


def _remade(cls: type[RedcapError], state: dict[str, Any]) -> RedcapError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    error.args = (error._message(),)
    return error


class Transient(RedcapError):
    """The request failed, and a retry may help."""

    retry_hint = "A retry may help."


class Permanent(RedcapError):
    """The request failed, and a retry will not help."""

    retry_hint = "A retry will not help."


class Unreachable(Transient):
    """The server could not be reached."""

    remedy = "Check the URL, the network, the VPN and the proxy settings."


class TimedOut(Transient):
    """The server did not answer in time."""

    remedy = "Ask for less at a time, or allow more time."
    # Each attempt may take minutes; a smaller request is more likely to succeed than a third attempt.
    max_attempts = 2


class TooSlow(Transient):
    """The answer arrived so slowly that the request was cancelled."""

    remedy = "If it lasts, tell the REDCap administrators: the server or something in front of it is failing."
    # Each attempt takes a minute, and a smaller request would be as slow.
    max_attempts = 2


class ServerOverloaded(Transient):
    """The server could not answer now."""

    remedy = "If it lasts, ask for less at a time or tell the REDCap administrators."


class RateLimited(Transient):
    """The server asked for fewer requests."""

    remedy = "Lower requests_per_minute for this server."


class Truncated(Transient):
    """The answer ended before it was complete."""

    remedy = "If it lasts, ask for less at a time: the server may be running out of memory or time."


class EmptyAnswer(Transient):
    """The answer is empty; rows or a list were expected."""

    remedy = "An overloaded REDCap does this; if it lasts, ask for less at a time."


class NotRedcap(Transient):
    """The answer is a web page, not REDCap's."""

    remedy = (
        "Check that the URL ends in /api/ and that no sign-on page is in front of it; "
        "during maintenance, wait until REDCap is available again."
    )
    # A maintenance page disappears within minutes or hours, a sign-on page never: two more attempts are enough.
    max_attempts = 3


class TooLarge(Transient):
    """The request is too large for the server."""

    retry_hint = "A smaller request may succeed; the same one rarely does."
    remedy = "Ask for fewer records or fields, or send fewer rows."
    max_attempts = 1
    # A request that cannot be smaller may have failed because the server was busy.
    max_attempts_smallest = 3


class Banned(Permanent):
    """REDCap has banned this address for too many requests."""

    remedy = (
        "Stop all requests from this address and ask the REDCap administrators to lift the ban; "
        "then lower requests_per_minute."
    )


class Blocked(Permanent):
    """Something in front of REDCap rejected the request."""

    remedy = "Ask the administrators whether a firewall or gateway must allow this address."


class Redirected(Permanent):
    """The server redirects to another URL; redirects are not followed, because they would lose or leak the token."""

    def __init__(self, context: RequestContext | None = None, *, location: str = "", status: int | None = None) -> None:
        """`location` is the target, if it may be recommended: the same host, over https."""
        self.location = location
        elsewhere = (
            "The target is on another server or not https, and may be forged, so it is not shown. Ask the REDCap "
            "administrators for the address of the API."
        )
        super().__init__(context, status=status, detail=f"Use {location} as the URL." if location else elsewhere)


class WrongUrl(Permanent):
    """There is no REDCap API at this URL."""

    remedy = "The URL usually ends in /api/, with the slash, and starts with https://."


class InsecureUrl(Permanent):
    """The URL is not https, so the token and the data would be sent unencrypted."""

    remedy = "Use https://; http:// is accepted for this machine only."


class BadCertificate(Permanent):
    """The server's certificate could not be verified."""

    remedy = "Verification cannot be switched off."


class TokenRefused(Permanent):
    """REDCap rejected the token."""

    remedy = (
        "Copy it again from the project's API page. It may have been regenerated or deleted, or the user's "
        "API right or account may have ended."
    )


class MissingRight(Permanent):
    """The token's user lacks a right that this call needs."""

    remedy = "Ask the project's owner for the right under User Rights, or do without this call."


class RequestRefused(Permanent):
    """REDCap rejected the request."""


class NotForClassicProjects(RequestRefused):
    """The project is classic, so it has no arms, events or form-event mapping."""


class NothingConfigured(RequestRefused):
    """The project has no repeating instruments or events."""


class NothingImported(RequestRefused):
    """REDCap accepted the import without an error, but understood none of its rows."""

    remedy = "Check that the data is a list of rows, in the format and with the columns of an export."


class AnswerTooLong(Permanent):
    """The answer is longer than this client's limit."""

    remedy = (
        "No part of it was kept. If an answer can be that long, ask for less at a time, or raise the client's "
        "memory_limit or file_limit in Python; if it cannot, tell the REDCap administrators."
    )

    @classmethod
    def beyond(cls, context: RequestContext, limit: int) -> "AnswerTooLong":
        """The error for a body of more than `limit` bytes."""
        return cls(context, status=200, detail=f"The limit is {limit:,} bytes.")


class UnexpectedAnswer(Permanent):
    """REDCap's answer is not what was expected."""

    remedy = "Its beginning is in the error's server_text (it may hold data: look at it in private)."


@dataclass(frozen=True, slots=True)
class RejectedCell:
    """One cell that REDCap rejected in an import, as it reported it.

    `record` may be `ID` or `ID (unique_event_name)`; servers send both. Record and value are not in the repr.
    """

    record: str = dataclasses.field(repr=False)
    field: str
    value: str = dataclasses.field(repr=False)
    message: str


class ImportRejected(RequestRefused):
    """REDCap rejected the import; nothing of it was saved."""

    remedy = "Correct or leave out the cells in the error's `lines`, then import again."

    def __init__(
        self,
        context: RequestContext | None = None,
        *,
        status: int | None = None,
        lines: Sequence[RejectedCell] = (),
        message: str = "",
        server_text: str = "",
    ) -> None:
        """`lines` is empty when REDCap's message names no cells."""
        self.lines = tuple(lines)
        super().__init__(context, status=status, detail=_summary(self.lines), message=message, server_text=server_text)


class OutcomeUnknown(Permanent):
    """The change was sent, but no answer arrived: it may or may not have been saved."""

    retry_hint = "Do not simply send it again."
    remedy = "Read the affected records first, then send only what is missing."

    def __init__(self, context: RequestContext | None = None, *, reason: RedcapError | None = None) -> None:
        """`reason` is the failure after which the outcome is unknown."""
        self.reason = reason
        detail = f"({type(reason).__name__})" if reason is not None else ""
        super().__init__(context, status=reason.status if reason is not None else None, detail=detail)


def _summary(lines: Sequence[RejectedCell], most: int = 5) -> str:
    """Counts, fields and messages of rejected cells, without their values."""
    if not lines:
        return ""
    records = len({line.record for line in lines})
    fields = Counter(line.field for line in lines)
    messages = list(dict.fromkeys(line.message for line in lines))
    named = ", ".join(name for name, _ in fields.most_common(most)) + (", …" if len(fields) > most else "")
    reasons = " | ".join(messages[:most]) + (" | …" if len(messages) > most else "")
    return f"{len(lines)} cells of {records} records were rejected. Fields: {named}. Reasons: {reasons}"
