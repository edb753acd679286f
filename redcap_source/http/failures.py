"""The RedcapError for each failure of the connection."""

import zlib

import httpx

from redcap_source import errors
from redcap_source.errors import RedcapError, RequestContext
from redcap_source.http.certificates import advice
from redcap_source.http.timeouts import Lateness, Watch


def error_for_failure(context: RequestContext, error: Exception, watch: Watch, *, answering: bool) -> RedcapError:
    """The RedcapError for an error of httpx or zlib; `answering` says that the status line had arrived."""
    if watch.late is not None:
        return _cancelled(context, watch.late)
    if isinstance(error, zlib.error):
        return errors.Truncated(context, detail="Its compressed data is damaged.")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return _not_connected(context, error)
    if isinstance(error, httpx.TimeoutException):
        return errors.TimedOut(context)
    if answering:
        return errors.Truncated(context, detail="The connection ended in the middle of the answer.")
    # The text of such errors can quote what was sent or received, so only their kind is repeated.
    return errors.Unreachable(
        context, detail=f"The connection failed before an answer arrived ({type(error).__name__})."
    )


def _cancelled(context: RequestContext, late: Lateness) -> RedcapError:
    if late is Lateness.HEAD:
        return errors.UnexpectedAnswer(context, detail="Its headers do not end.")
    if late is Lateness.TOTAL:
        return errors.TimedOut(context, detail="The answer was not complete; no part of it was kept.")
    return errors.TooSlow(context, detail="No part of it was kept.")


def _not_connected(context: RequestContext, error: httpx.HTTPError) -> RedcapError:
    reason = " ".join(str(error).split())[:300]
    where = f"The server is {context.server}"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return errors.BadCertificate(context, detail=f"{where}. {advice(reason)}")
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER_FAILURE" in reason:
        reason = "the port does not use https"
    return errors.Unreachable(context, detail=f"{where}: {reason}.", not_applied=True)
