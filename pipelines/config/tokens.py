"""Where a project's token is stored: an environment variable, a keyring, or a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.config.names import TOKEN, show_name
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from redcap_source import Token


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where a project's token is; the token itself is read on demand and not kept.

    `name` is the variable, the keyring entry or the path; `where` is the line of the file, for messages.
    """

    kind: Literal["env", "keyring", "file"]
    name: str
    project: str
    where: str

    def read(self, environment: Mapping[str, str] = os.environ) -> Token:
        """The token; ConfigError, which never quotes it, if there is none or if the text cannot be one."""
        from redcap_source import Token

        match self.kind:
            case "env":
                text = self._from_environment(environment)
            case "keyring":
                text = self._from_keyring()
            case "file":
                text = self._from_file()
        text = text.strip()
        if not TOKEN.fullmatch(text):
            raise self._problem(
                f"which does not hold one: a REDCap token is 32 hexadecimal digits, this is {len(text)} characters.",
                "Copy it again from the project's API page in REDCap.",
            )
        return Token(text)

    def _from_environment(self, environment: Mapping[str, str]) -> str:
        text = environment.get(self.name)
        if not text:
            state = "not set" if text is None else "empty"
            raise self._problem(
                f"which is {state}.", "Set it where the load runs; the token is on the project's API page in REDCap."
            )
        return text

    def _from_keyring(self) -> str:
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError:
            raise self._problem(
                "but the keyring package is not installed.",
                "Run `pip install keyring` in the environment that redcap-warehouse runs in.",
            ) from None
        service, _, user = self.name.rpartition("/")
        try:
            text = keyring.get_password(service, user)
        except KeyringError as error:
            raise self._problem(
                f"which cannot be opened ({type(error).__name__}).",
                "Unlock it, or take the token from an environment variable or a file on machines without one.",
            ) from None
        if text is None:
            raise self._problem(
                "which has no such entry.",
                f"Store the token with `keyring set {show_name(service)} {show_name(user)}`.",
            )
        return text

    def _from_file(self) -> str:
        try:
            with Path(self.name).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(1000)
        except OSError as error:
            raise self._problem(
                f"which cannot be read ({error.strerror}).", "Write the token, and nothing else, into that file."
            ) from None
        if os.name == "posix" and mode & 0o077:
            raise self._problem(
                f"which others on this machine may use (its mode is {stat.S_IMODE(mode):04o}).",
                f"Run `chmod 600 {show_name(self.name)}`; a secret mounted into a container needs mode 0400.",
            )
        return content.decode("ascii", errors="replace")

    def _problem(self, problem: str, remedy: str) -> ConfigError:
        source = {"env": "environment variable", "keyring": "keyring entry", "file": "file"}[self.kind]
        return ConfigError(
            f"project {self.project} takes its token from the {source} {show_name(self.name)}, {problem}",
            where=self.where,
            remedy=remedy,
        )
