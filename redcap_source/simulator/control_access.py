"""Who may use the control endpoint, and where it may write.

Any page open in a browser can send requests to this machine, so listening on loopback protects nothing by itself. A
request must name this machine as its host (so that a page cannot point a name of its own at 127.0.0.1), must not be
sent by another page, and must carry the secret that each start makes anew.
"""

from __future__ import annotations

import secrets
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

from redcap_source.simulator.errors import SimulatorError

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
SCHEME = "Bearer "


def new_secret() -> str:
    """A random secret that cannot be guessed."""
    return secrets.token_urlsafe(32)


def why_refused(headers: Message, secret: str) -> str:
    """Why the control endpoint refuses a request with these headers; blank if it does not."""
    host = headers.get("Host") or ""
    if _host_name(host) not in HOSTS:
        return "The control endpoint answers only requests to 127.0.0.1 and localhost."
    origin = headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        return "The control endpoint does not answer web pages."
    given = headers.get("Authorization") or ""
    # Compared as bytes, because text that is not ASCII cannot be compared in constant time.
    if not secrets.compare_digest(given.encode("utf-8", "replace"), f"{SCHEME}{secret}".encode()):
        return "The control endpoint needs the header 'Authorization: Bearer SECRET' with the secret printed at start."
    return ""


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def state_path(folder: Path | None, name: str) -> Path:
    """The file of a saved state: `name` in the folder named at start.

    Raises SimulatorError if no folder was named, or if the name leads out of it.
    """
    if folder is None:
        raise SimulatorError("No folder for states was named; start the simulator with --state-folder.")
    if not folder.is_dir():
        raise SimulatorError(f"There is no folder {folder} for states; create it first.")
    # Links are resolved first, so that none leads out of the folder.
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents:
        raise SimulatorError("The path leads out of the folder for states; give a file name in it.")
    return path
