"""The URL of a PostgreSQL database: never in a repr, a log or an error. Pure.

Not here: connecting (connection.py).
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from pipelines.errors import ConfigError

HIDDEN = "PostgreSQL's message is left out, because it quotes a part of the URL that may be the password"
_WHERE = "the URL of the store's PostgreSQL"
_PASSWORD_WORD = re.compile(r"(?:^|[\s?&])(?:ssl)?password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&]*))", re.IGNORECASE)

_PLACE = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")


class Address:
    """A URL with what may be said about it; only `reveal()` gives it whole."""

    __slots__ = ("_secrets", "_url")

    def __init__(self, url: str) -> None:
        """ConfigError if it is no URL of PostgreSQL, or if a character in it would be read as another part of it."""
        problem = _problem(url)
        secrets = frozenset() if problem else _secrets(url)
        if problem:
            raise ConfigError(
                problem,
                where=_WHERE,
                remedy="It has the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE; characters other than letters "
                "and digits in the user's name and the password are written as % and two digits, / as %2F, @ as %40.",
            )
        self._url = url
        self._secrets = secrets

    def reveal(self) -> str:
        """The URL itself, for the driver and nothing else."""
        return self._url

    def shown(self, message: str) -> str:
        """A message of the driver or the server on one line, or a sentence in its place if it quotes a secret.

        Each line tells of another try. The questions that the driver adds to them are left out.
        """
        lines = (" ".join(line.split()) for line in message.splitlines())
        text = "; ".join(dict.fromkeys(line.rstrip(".") for line in lines if line and not line.endswith("?")))
        return HIDDEN if any(secret in text for secret in self._secrets) else text

    def __repr__(self) -> str:
        return "Address(****)"

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("The URL of a database is not pickled: it holds a password.")


def _problem(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        return "it does not begin with postgresql://."
    rest = url.partition("://")[2]
    users, at, place = rest.rpartition("@")
    # The driver takes what follows the first of these for the host or the database, and quotes it in its messages.
    if any(character in users for character in "@/?#"):
        return "there is an @, /, ? or # before the host's name."
    if re.search(r"%(?![0-9A-Fa-f]{2})", rest):
        return "there is a % that is not followed by two digits (0 to 9, a to f)."
    if not all(_PLACE.fullmatch(host) for host in re.split(r"[/?]", place)[0].split(",")):
        return "what follows the colon after the host's name is no port."
    nowhere = re.split(r"[/?:]", place)[0] == "" and "host=" not in place and not place.startswith("/")
    return "it names no host." if nowhere or (at and place == "") else ""


def _secrets(url: str) -> frozenset[str]:
    found = {url, url.partition("://")[2].rpartition("@")[0].partition(":")[2]}
    found.update(quoted or plain for quoted, plain in _PASSWORD_WORD.findall(url))
    return frozenset(form for secret in found for form in (secret, unquote(secret)) if form)
