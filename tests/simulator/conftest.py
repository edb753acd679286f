"""A simulator to ask."""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from redcap_source.simulator import ProjectHandle, Simulator, make_study


class Asker:
    """Asks the simulator as plainly as can be: no client of ours, no retries."""

    def __init__(self, url: str, project: ProjectHandle) -> None:
        self.url = url
        self.project = project

    def raw(self, **parameters: object) -> tuple[int, str, dict[str, str]]:
        form = {"token": self.project.token, **parameters}
        data = urllib.parse.urlencode({key: str(value) for key, value in form.items()}).encode()
        request = urllib.request.Request(self.url, data)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), dict(error.headers)

    def __call__(self, **parameters: object) -> str:
        status, body, _ = self.raw(**parameters)
        assert status == 200, body
        return body

    def json(self, **parameters: object):
        return json.loads(self(format="json", **parameters))

    def csv(self, **parameters: object) -> list[dict[str, str]]:
        text = self(format="csv", **parameters)
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def refused(self, **parameters: object) -> tuple[int, str]:
        status, body, _ = self.raw(**{"format": "json", **parameters})
        return status, json.loads(body)["error"]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def asker(simulator: Simulator):
    """Makes an asker of a project: a study's kind, or a project."""

    def make(project, **options: object) -> Asker:
        made = make_study(project, **options) if isinstance(project, str) else project
        name = project if isinstance(project, str) else made.title or "project"
        return Asker(simulator.url, simulator.add_project(made, name=name))

    return make
