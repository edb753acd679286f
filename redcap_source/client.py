"""RedcapClient: every method of the API, over HTTP.

Only the wiring is here: the methods are in methods/, one file for each area of the API; http/ sends the requests.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from redcap_source.errors import RequestContext
from redcap_source.http.addresses import Address, checked_url
from redcap_source.http.certificates import verification
from redcap_source.http.connection import Transport, http_client
from redcap_source.http.exchange import Wire
from redcap_source.http.rate_limit import RateLimiter, default_rate_limiter, unlimited_rate_limiter
from redcap_source.http.retry import RetryPolicy
from redcap_source.http.session import Attempts, Calls, HttpSession
from redcap_source.http.sinks import FILE_LIMIT, MEMORY_LIMIT, Received, Sink
from redcap_source.http.timeouts import Timeouts
from redcap_source.methods.files import FileMethods
from redcap_source.methods.log import LogMethods
from redcap_source.methods.projects import ProjectMethods
from redcap_source.methods.records import RecordMethods
from redcap_source.methods.reports import ReportMethods
from redcap_source.methods.setup import SetupMethods
from redcap_source.methods.surveys import SurveyMethods
from redcap_source.methods.users import UserMethods
from redcap_source.protocol.request import Request
from redcap_source.token import Token

S = TypeVar("S", bound=Sink)

_USUAL_TIMEOUTS = Timeouts()
_USUAL_RETRY = RetryPolicy()


class RedcapClient(
    RecordMethods, ReportMethods, SetupMethods, ProjectMethods, UserMethods, LogMethods, FileMethods, SurveyMethods
):
    """A client of one REDCap project; use it in a `with` block, from as many threads as you like."""

    def __init__(
        self,
        url: str,
        token: Token | str,
        project: str = "",
        *,
        ca_bundle: str | Path | None = None,
        timeouts: Timeouts = _USUAL_TIMEOUTS,
        retry: RetryPolicy = _USUAL_RETRY,
        rate_limit: RateLimiter | None = None,
        pace: RateLimiter | None = None,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        on_retry: Callable[[int, str, float], object] | None = None,
        memory_limit: int = MEMORY_LIMIT,
        file_limit: int = FILE_LIMIT,
    ) -> None:
        """`project` is the name that messages use. Nothing is sent before the first call.

        http:// is accepted for this machine only (InsecureUrl otherwise); certificates are verified against
        `ca_bundle` or the usual authorities. Without a `rate_limit` (`pace` is its earlier name), all clients of this
        process share one per server. `on_retry` is called with the number of the attempt that failed, the error's
        class name and the seconds to wait. `memory_limit` and `file_limit` are the bytes, after decompression, of the
        longest answer that is read into memory or written to a file. `transport`, `sleep`, `clock`, `now` and
        `chance` are for tests.
        """
        self.project = project
        self._memory_limit, self._file_limit = memory_limit, file_limit
        address, loopback = checked_url(url.strip(), project)
        http = http_client(transport, verification(address.scheme, ca_bundle, project), timeouts, loopback=loopback)
        own = token if isinstance(token, Token) else Token(token)
        self._http = HttpSession(
            Wire(http, address, own, timeouts, clock, now),
            project,
            rate_limit or pace or _rate_limit_for(address, loopback),
            Attempts(retry, sleep, chance, on_retry),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RedcapClient({self._http.url!r}, project={self.project!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def token_fingerprint(self, salt: str) -> str:
        """Tells the client's token apart from others without giving it away; another salt gives another fingerprint."""
        return self._http.token_fingerprint(salt)

    @property
    def calls(self) -> Calls:
        """Counts of what this client has done so far."""
        return self._http.calls

    @property
    def server_date(self) -> datetime | None:
        """The server's clock as of its last answer; None before the first."""
        return self._http.server_date

    def _receive(self, request: Request, open_sink: Callable[[], S]) -> tuple[Received, S]:
        return self._http.receive(request, open_sink)

    def _context(self, request: Request) -> RequestContext:
        return self._http.context(request)


def _rate_limit_for(url: Address, loopback: bool) -> RateLimiter:
    if loopback:
        return unlimited_rate_limiter()
    return default_rate_limiter(f"{url.scheme}://{url.netloc.decode('ascii')}")
