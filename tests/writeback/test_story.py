"""Batches at random, with people typing, a failing server and runs that die: REDCap, journal and warehouse agree.

`FUZZ_EXAMPLES=5000 pytest tests/writeback/test_story.py -m fuzz` tells more stories.
"""

import os
import random
import shutil

import pytest

from redcap_source.simulator import Simulator
from tests.support import export_oracle as oracle
from tests.support.batch_story import Story
from tests.support.writeback_site import Template, WritebackSite, values

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))


def tell(template: Template, folder, monkeypatch, seed: int) -> Story:
    """One story from its proposals to its last look."""
    chance = random.Random(seed)
    with Simulator() as simulator:
        site = WritebackSite(simulator, folder, monkeypatch)
        template.put_into(site)
        story = Story(site, chance)
        before = values(story.handle)
        story.propose(chance.choice([1, 8, 25]))
        story.run(
            typing=chance.choice([0.0, 0.5, 0.9]),
            faults=chance.choice([0.0, 0.5, 0.9]),
            kills=chance.choice([0.0, 0.9]),
        )
        story.check_people_win()
        story.check_written()
        story.check_nothing_else(before)
        story.check_journal()
        story.check_account()
        story.check_again()
        known = len(site.changes())
        site.night()
        written = {(record, name) for record, name, *_ in site.journal("record, field")}
        edited = {(edit.spot[0], edit.spot[2]) for edit in story.edits}
        found = {(record, name) for record, name, *_ in site.changes()[known:]}
        assert not (found & written) - edited, "the next night tells our own writing again"
        assert oracle.published(site, "study") == oracle.expected(simulator.url, site.handles["study"].token)
        check_revert(story)
    return story


def check_revert(story: Story) -> None:
    """The revert puts back what the batch wrote, where nobody has been since, and nothing else."""
    before = values(story.handle)
    undone = story.site.journal("record, event, instrument, instance, field, before_value, after_value, status")
    events = {event.unique_name: event.event_id for event in story.handle.project.events}
    expected = {}
    for record, event, instrument, instance, column, old, new, status in undone:
        slot = story.handle.project.slot_of(events[event], instrument, int(instance or 1))
        spot = (record, slot, column)
        if status == "confirmed" and story.alike(spot, story.held(spot), new or ""):
            expected[spot] = old or ""
    if not any(status == "confirmed" for *_, status in undone):
        return
    outcome = story.site.revert()
    assert outcome.confirmed == len(expected)
    for spot, old in expected.items():
        assert story.alike(spot, story.held(spot), old)
    story.wanted = dict(expected)
    story.edits = []
    story.check_nothing_else(before)
    assert story.site.revert().sent == 0


@pytest.mark.parametrize("seed", [1, pytest.param(0, marks=pytest.mark.fuzz)])
def test_whatever_happens_redcap_journal_and_warehouse_agree(repeating, tmp_path, monkeypatch, seed):
    tell(repeating, tmp_path, monkeypatch, seed)


@pytest.mark.fuzz
def test_more_stories(repeating, tmp_path, monkeypatch):
    first = int(os.environ.get("FUZZ_SEED", random.SystemRandom().randrange(10**9)))
    kills = runs = edits = 0
    for seed in range(first, first + EXAMPLES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            story = tell(repeating, folder, monkeypatch, seed)
        except BaseException:
            print(f"FUZZ_SEED={seed} tells the story that went wrong")
            raise
        kills, runs, edits = kills + story.kills, runs + story.runs, edits + len(story.edits)
        shutil.rmtree(folder)
    print(f"{EXAMPLES} stories: {runs} runs, {kills} killed, {edits} edits by people")
