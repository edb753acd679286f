"""Who may use the control endpoint, and where it may write.

Any page open in a browser can send requests to this machine, so an address on loopback protects nothing by itself. A
request must name this machine as its host (a page cannot get round that by pointing a name of its own at 127.0.0.1),
come from no other page, and carry the secret that is made anew at every start.
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
    """A secret nobody can guess."""
    return secrets.token_urlsafe(32)


def why_refused(headers: Message, secret: str) -> str:
    """Why a request with these headers is refused at the control endpoint; nothing if it is not."""
    host = headers.get("Host") or ""
    if _host_name(host) not in HOSTS:
        return "The control endpoint answers to 127.0.0.1 and localhost only."
    origin = headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        return "The control endpoint answers no web pages."
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
    """The file of a saved state: `name` in the folder named at start, never outside it."""
    if folder is None:
        raise SimulatorError("No folder for states was named at start; start the simulator with --state-folder.")
    if not folder.is_dir():
        raise SimulatorError(f"There is no folder {folder} to keep states in; make it first.")
    # Links are followed first, so that none leads out of the folder.
    place = (folder / name).resolve()
    if folder.resolve() not in place.parents:
        raise SimulatorError("The path leads out of the folder for states; give a file name in it.")
    return place
