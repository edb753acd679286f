"""Which certificates are trusted, and why a server's was not accepted, with what to do about it.

Most reasons need action by the server's administrators; only some are solved by a certificate file.
"""

import re
import ssl
from pathlib import Path

from redcap_source import errors
from redcap_source.errors import RequestContext

_ADVICE = (
    (
        r"certificate has expired",
        "The server's certificate has expired. Tell the REDCap administrators: they must renew it, and no setting here "
        "helps. If this computer's clock is wrong, correct it.",
    ),
    (
        r"not yet valid",
        "The server's certificate is not valid yet. Check this computer's clock; if it is right, tell the REDCap "
        "administrators.",
    ),
    (
        r"hostname mismatch|ip address mismatch|doesn't match|not valid for",
        "The server's certificate is for another host name. Check the host name in the URL; if it is right, stop, "
        "and tell the REDCap administrators: another server may be answering in its place.",
    ),
    (
        r"certificate revoked",
        "The server's certificate was withdrawn by its authority. Stop, and tell the REDCap administrators.",
    ),
    (
        r"self[- ]signed certificate in certificate chain",
        "The server's certificate comes from an authority that this computer does not know, such as an institution's "
        "own. Give the authority's certificate file as ca_bundle: from your IT department, not from the server "
        "itself.",
    ),
    (
        r"self[- ]signed",
        "The server's certificate is self-signed, so nothing proves whose it is. If the REDCap administrators "
        "confirm that it is theirs, give the file they send you as ca_bundle.",
    ),
    (
        r"unable to get (?:local )?issuer|unable to verify the first certificate",
        "The certificate's authority is not known to this computer: it is the institution's own, or the server leaves "
        "out the certificates in between. Give the authority's certificate file as ca_bundle, from your IT department.",
    ),
)
_UNKNOWN = "Show this to the REDCap administrators."


def advice(reason: str) -> str:
    """What is wrong and what to do, for an OpenSSL message; one that is not known is quoted."""
    for pattern, sentence in _ADVICE:
        if re.search(pattern, reason, re.I):
            return sentence
    # OpenSSL's sentences name no host, person or path of ours.
    plain = "".join(c for c in " ".join(reason.split()) if c.isprintable())[:200]
    return f"OpenSSL says: {plain}. {_UNKNOWN}"


def verification(scheme: str, ca_bundle: str | Path | None, project: str) -> ssl.SSLContext | bool:
    """Which authorities to trust; BadCertificate if the `ca_bundle` cannot be used."""
    if scheme == "http":
        # Loopback needs no authorities, and loading them takes longer than a call; this context trusts none.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_bundle is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_bundle))
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise errors.BadCertificate(
        RequestContext(project=project), detail=f"The ca_bundle {ca_bundle} cannot be used: {reason}."
    )
