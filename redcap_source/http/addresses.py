"""The address of an API, checked, and the target of a redirect, if it may be recommended."""

import ipaddress

import httpx

from redcap_source import errors
from redcap_source.errors import RequestContext

Address = httpx.URL
"""The address of an API, after checked_url."""

# A longer target of a redirect is not an address that a person would copy.
_LONGEST_URL = 300


def checked_url(url: str, project: str) -> tuple[Address, bool]:
    """The URL, and whether its host is this machine; InsecureUrl for http:// to any other, WrongUrl for no URL."""
    context = RequestContext(project=project)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise errors.WrongUrl(context, detail="Expected a URL like https://redcap.example.edu/api/.")
    if parsed.userinfo:
        raise errors.WrongUrl(context, detail="It has a user name or password in it, which is not supported.")
    loopback = _is_loopback(parsed.host)
    if parsed.scheme == "http" and not loopback:
        raise errors.InsecureUrl(context, detail=f"The host is {parsed.host}.")
    return parsed, loopback


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def redirect_target(base: Address, response: httpx.Response) -> str:
    """The target of a redirect, as a URL to use instead; blank if it may not be recommended.

    Only the same host is recommended, over https or, on this machine, as before: otherwise, a forged header could have
    the token sent anywhere. Queries are left out: a sign-on page's can contain the whole request.
    """
    try:
        target = base.join(response.extensions.get("location", "")).copy_with(query=None, fragment=None)
    except (httpx.InvalidURL, ValueError):
        return ""
    if target == base or target.host != base.host or target.userinfo or len(str(target)) > _LONGEST_URL:
        return ""
    if target.scheme == "https" and target.port in (None, base.port):
        return str(target)
    return str(target) if (target.scheme, target.port) == (base.scheme, base.port) else ""
