"""A load whose plan is made and whose records are fetched one request at a time, and what it asks for."""

from contextlib import contextmanager

from pipelines.extract.fetcher import Fetcher
from pipelines.run import ProjectRun
from pipelines.sync.prepare import prepare
from pipelines.sync.reports import LoadOptions
from tests.support.load_site import still
from tests.support.stray_values import put_stray_value

RECORDS = 60


class Watched:
    """A client that notes in which order it asked for records and searched for values, and the records it named."""

    def __init__(self, client):
        self.client = client
        self.sent = []
        self.named = []
        self.before_search = lambda number: None

    def export_records_to(self, path, **options):
        """Note the request and send it."""
        kind = "search" if options.get("type") == "eav" else options["format"]
        if kind == "search":
            self.before_search(self.sent.count(kind) + 1)
        self.sent.append(kind)
        self.named.append(tuple(options.get("records", ())))
        return self.client.export_records_to(path, **options)

    def __getattr__(self, name):
        return getattr(self.client, name)


class Night:
    """A load between its plan and its records."""

    def __init__(self, site, run, client, verifier, plan):
        self.site, self.run, self.verifier, self.plan = site, run, verifier, plan
        self.client = Watched(client)

    @property
    def task(self):
        """All records."""
        [task] = self.plan.tasks
        return task

    @property
    def searches(self):
        """How many searches the plan needs."""
        return sum(scope.undesignated is not None for scope in self.task.fetch.narrow)

    def fetch(self, **more):
        """Fetch the records, one request at a time."""
        task = self.task
        fetcher = Fetcher(self.client, task.fetch, staging=self.run.staging, verifier=self.verifier, concurrency=1)
        masks = dict(zip(task.records, task.scope_masks, strict=True))
        yield from fetcher.fetch(task.records, masks, searched=task.searched, **more)

    def stray(self):
        """Write a value where the setup has no place for it; returns the record."""
        record = self.task.records[3]
        put_stray_value(self.site.handles["study"].project, record)
        return record


@contextmanager
def prepared(site, kind="longitudinal", records=RECORDS):
    """The plan of a first load, in which a sparse project is asked for scope by scope."""
    site.study(kind, records)
    with planned(site) as night:
        yield night


@contextmanager
def planned(site, cell=1e-5):
    """The plan of a load; a cell costs so many seconds that the speed of this computer makes no difference."""
    site.monkeypatch.setattr("pipelines.extract.speed.schedule.OWN_SECONDS_A_CELL", cell)
    config = site.config
    run = ProjectRun(config, config.project("study"), run_id="run", sleep=lambda seconds: None, stopwatch=still)
    with run.mirror() as mirror, run.client() as client, run.verifier() as verifier:
        plan, _ = prepare(run, client, mirror, verifier, LoadOptions())
        yield Night(site, run, client, verifier, plan)


def records_of(items):
    """The records of the chunks, sorted."""
    return sorted(record for item in items for record in item.records)
