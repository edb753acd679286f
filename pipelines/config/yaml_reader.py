"""YAML as text values, with the line of each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipelines.config.names import LIKE_A_TOKEN, show_name
from pipelines.errors import ConfigError
from pipelines.wording import counted, unseen

VARIABLE = "REDCAP_WAREHOUSE_CONFIG"
"""The environment variable that names the file."""

EXAMPLE = """\
    servers: {campus: {url: https://redcap.example.edu/api/}}
    projects:
      heart_study: {token: {env: REDCAP_TOKEN_HEART}}"""


Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a key: a sentence that continues after the key's name."""

    key: Key
    sentence: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file, the line of each key, and the problems found while reading."""

    content: object
    lines: Mapping[Key, int]
    problems: tuple[Problem, ...]

    def line(self, key: Key) -> int:
        """The line of the key, or of the nearest key around it that is in the file."""
        return next((self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), 1)


NEVER_HERE = "Tokens are never written here: use {env: NAME}, {keyring: service/user} or {file: path}."


_DEEPEST = 8


# Many times what a thousand projects need; aliases that repeat each other reach it in a second.
_MOST_VALUES = 100_000


_MERGE = "tag:yaml.org,2002:merge"


def read_file_text(path: Path) -> str:
    """The text of the file; ConfigError, which suggests three lines to begin with, if it cannot be read."""
    problem = ""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        problem = f"there is no such file ({path.absolute()})."
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text."
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})."
    # Raised outside the handlers, so that no exception that may quote the file is chained to it.
    raise ConfigError(problem, where=str(path), remedy=_how_to_begin())


def _how_to_begin() -> str:
    return (
        f"Name another one with --config or ${VARIABLE}, or begin with these three lines:\n{EXAMPLE}\n"
        "To look around without a REDCap server, run `redcap-warehouse demo`."
    )


def parse(text: str, shown: str) -> Document:
    """The document in the text; ConfigError if it is not YAML or empty. `shown` is the file's name in messages."""
    where, problem = shown, ""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{shown} line {mark.line + 1}, column {mark.column + 1}" if mark else shown
        problem = show_name(error.problem or "").replace("start any token", "be there")
    except (yaml.YAMLError, RecursionError):
        problem = "it contains characters that are not text, or endless brackets"
    if problem:
        raise ConfigError(
            f"this is not YAML: {problem}.",
            where=where,
            remedy="Look at the indentation (spaces, no tabs), colons, brackets and quotes there; "
            "a text that begins with *, & or @ needs quotes.",
        )
    if node is None:
        raise ConfigError("the file is empty.", where=shown, remedy=_how_to_begin())
    reader = _Reader()
    content = reader.read(node, ())
    return Document(content, reader.lines, tuple(reader.problems))


class _Reader:
    """Reads every scalar as its text, so that a name such as `no` or 007 is kept as written."""

    def __init__(self) -> None:
        self.lines: dict[Key, int] = {}
        self.problems: list[Problem] = []
        self._depth = 0
        self._read = 0

    def read(self, node: yaml.Node, key: Key) -> object:
        self.lines.setdefault(key, node.start_mark.line + 1)
        self._depth += 1
        value = self._value(node, key)
        self._depth -= 1
        return value

    def _value(self, node: yaml.Node, key: Key) -> object:
        self._read += 1
        if self._read > _MOST_VALUES:
            if self._read == _MOST_VALUES + 1:
                self._problem((), f"expands to over {counted(_MOST_VALUES, 'value')} through its aliases.", node)
        elif self._depth > _DEEPEST:  # an alias may contain itself
            self._problem(key, "is nested too deep.", node)
        elif not node.tag.startswith("tag:yaml.org,2002:"):
            self._problem(key, "has a tag (a word that begins with !). Tags mean nothing here; remove it.", node)
        elif isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        elif isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*key, str(n))) for n, item in enumerate(node.value, start=1)]
        elif hidden := unseen(node.value):
            self._problem(key, f"contains a non-printable character ({hidden}). Remove it.", node)
        elif LIKE_A_TOKEN.fullmatch(node.value.strip()):
            self._problem(key, f"contains what looks like a token. {NEVER_HERE}", node)
        elif node.tag != "tag:yaml.org,2002:null":
            return str(node.value)
        return None

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, object]:
        inherited: dict[str, object] = {}
        read: dict[str, object] = {}
        merges = [value for name, value in node.value if name.tag == _MERGE]
        for other in (part for m in merges for part in (m.value if isinstance(m, yaml.SequenceNode) else [m])):
            more = self.read(other, key)
            inherited = {**more, **inherited} if isinstance(more, dict) else inherited
        for name, value in ((name, value) for name, value in node.value if name.tag != _MERGE):
            if not isinstance(name, yaml.ScalarNode):
                self._problem(key, "has a key that is not plain text.", name)
            elif hidden := unseen(name.value):
                self._problem(key, f"has a key with a non-printable character ({hidden}). Remove it.", name)
            elif LIKE_A_TOKEN.fullmatch(name.value.strip()):
                self._problem(key, f"has a key that looks like a token. {NEVER_HERE}", name)
            elif name.value in read:
                first = self.lines[(*key, name.value)]
                self._problem((*key, name.value), f"is given twice, first on line {first}. Remove one of them.", name)
            else:
                self.lines[(*key, name.value)] = name.start_mark.line + 1
                read[name.value] = self.read(value, (*key, name.value))
        return {**inherited, **read}

    def _problem(self, key: Key, sentence: str, node: yaml.Node) -> None:
        self.problems.append(Problem(key, sentence, node.start_mark.line + 1))
