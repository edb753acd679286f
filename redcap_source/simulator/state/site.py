"""The state of a REDCap server: its projects, tokens, clock and version."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.clock import Clock
from redcap_source.simulator.state.project import Project

DEFAULT_USER = "api_user"


class Site:
    """One server."""

    def __init__(self, *, clock: Clock, behaviour: Behaviour, version: str, super_token: str | None) -> None:
        self.clock = clock
        self.behaviour = behaviour
        self.version = version
        self.super_token = super_token
        self.url = ""
        self.projects: dict[str, Project] = {}
        # (project name, username) by token.
        self.tokens: dict[str, tuple[str, str]] = {}
        # Adds a project that a client created and returns its token; the engine sets it.
        self.new_project: Callable[[Project], str] = _no_projects

    def add_token(self, project: str, username: str, token: str | None = None) -> str:
        """Give a user of a project a token, random unless given, and return it."""
        token = token or secrets.token_hex(16).upper()
        if len(token) != 32 or any(letter not in "0123456789abcdefABCDEF" for letter in token):
            raise SimulatorError(f"The token for '{project}' must be 32 hexadecimal characters, as REDCap's are.")
        if token in self.tokens:
            raise SimulatorError(f"The token for '{project}' is in use already; every token must be different.")
        self.tokens[token] = (project, username)
        return token

    def next_project_id(self) -> int:
        """An unused project number."""
        return max((project.project_id for project in self.projects.values()), default=0) + 1


def _no_projects(project: Project) -> str:
    raise SimulatorError("This server does not accept new projects.")
