"""Statements whose answers are lost on the way: done once, and what they did is recognised."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack

import pytest

from pipelines.coordination import Coordination, HeldProject
from pipelines.errors import HoldLost, ProjectHeld, Superseded
from tests.coordination.test_coordination import check_in
from tests.coordination.test_locks import soon
from tests.support.lossy_wire import lossy_wire


@pytest.fixture
def wire(postgres):
    with lossy_wire(postgres.port) as wire:
        yield wire


@pytest.fixture
def far(postgres, database, wire):
    """A machine at the other end of the wire."""
    with Coordination(database.replace(f":{postgres.port}/", f":{wire.port}/"), loader="far:1") as coordination:
        coordination.unpublished()
        yield coordination


def lose_the_answer_of(coordination: Coordination, wire, monkeypatch, word: str) -> None:
    """Lose the answer of the next statement that holds the word."""
    run = coordination._session.once

    def once(statement, *more, **named):
        if word in statement and not wire.lost:
            wire.lose_next_answer()
        return run(statement, *more, **named)

    monkeypatch.setattr(coordination._session, "once", once)


def test_a_check_in_whose_answer_was_lost_counts_once(far, machine, wire, monkeypatch):
    assert check_in(far, 0) == 1
    lose_the_answer_of(far, wire, monkeypatch, "SET version = version + 1")
    assert check_in(far, 1, "b") == 2
    assert wire.lost == 1
    assert machine().working("alpha").version == 2


def test_a_mark_whose_answer_was_lost_is_there(far, machine, wire, monkeypatch):
    lose_the_answer_of(far, wire, monkeypatch, "SET waiting_run")
    far.mark_loaded("alpha", "run-1")
    assert wire.lost == 1
    assert machine().unpublished() == {"alpha": "run-1"}


def test_the_first_hash_key_stays_though_its_answer_was_lost(far, machine, wire, monkeypatch):
    lose_the_answer_of(far, wire, monkeypatch, "INSERT INTO redcap_warehouse.hash_key")
    assert far.make_hash_key("first") == "first"
    assert wire.lost == 1
    assert machine().make_hash_key("second") == "first"


def test_a_hold_whose_session_was_cut_is_lost_at_both_ends(far, machine, wire):
    held = far.hold_project("alpha", "run-1")
    wire.lose_next_answer()
    with pytest.raises(HoldLost):
        held.check()
    two = machine("two")
    soon(lambda: two.held_projects() == {})
    with two.hold_project("alpha", "run-2"):
        held.release()
        assert two.held_projects()["alpha"].run == "run-2"


class Story:
    """Machines that hold, check in, are cut off and go on, in an order drawn by chance, beside what must be true."""

    def __init__(self, seed: int, machines: list[Coordination]) -> None:
        self.chance = random.Random(seed)
        self.machines = machines
        self.held: dict[int, HeldProject] = {}
        self.begun: dict[int, int] = {}
        self.cut_off: set[int] = set()
        self.newest: tuple[int, str | None] = (0, None)
        self.count = 0

    def step(self) -> None:
        number = self.chance.randrange(len(self.machines))
        if number not in self.held:
            self.hold(number)
            return
        act = self.chance.choice([self.check, self.check_in, self.check_in, self.lose, self.release])
        act(number)

    def hold(self, number: int) -> None:
        machine, keepers = self.machines[number], set(self.held) - self.cut_off
        try:
            held = machine.hold_project("alpha", f"run-{number}")
        except ProjectHeld as refused:
            assert {f"{keeper}:1" for keeper in keepers} == {refused.loader}
            return
        assert not keepers
        self.held[number] = held
        found = machine.working("alpha")
        assert (found and found.object) == self.newest[1]
        self.begun[number] = found.version if found else 0

    def check(self, number: int) -> None:
        if number in self.cut_off:
            with pytest.raises(HoldLost):
                self.held[number].check()
        else:
            self.held[number].check()

    def check_in(self, number: int) -> None:
        self.count += 1
        name = f"object-{self.count}"
        try:
            version = check_in(self.machines[number], self.begun[number], name)
        except Superseded:
            assert self.begun[number] != self.newest[0]
            self.release(number)
            return
        assert self.begun[number] == self.newest[0]
        assert version == self.newest[0] + 1
        self.newest = (version, name)
        self.begun[number] = version

    def lose(self, number: int) -> None:
        if number not in self.cut_off:
            cut(self.machines[number], self.held[number])
            self.cut_off.add(number)

    def release(self, number: int) -> None:
        self.held.pop(number).release()
        self.cut_off.discard(number)

    def end(self) -> None:
        for number in list(self.held):
            self.release(number)
        found = self.machines[0].working("alpha")
        assert ((found.version, found.object) if found else (0, None)) == self.newest
        assert self.machines[0].held_projects() == {}


def cut(coordination: Coordination, held: HeldProject) -> None:
    """PostgreSQL ends the session that holds, and has ended it when this returns."""
    [(process,)] = held._session.once("SELECT pg_backend_pid()")
    coordination._session.run("SELECT pg_terminate_backend(%(process)s, 5000)", {"process": process})


def tell(seed: int, steps: int, database: str) -> None:
    """Run one story in a database that is empty."""
    with ExitStack() as machines:
        story = Story(seed, [machines.enter_context(Coordination(database, loader=f"{n}:1")) for n in range(3)])
        for _ in range(steps):
            story.step()
        story.end()


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.fuzz)])
def test_whatever_the_order_no_check_in_is_lost_or_made_twice(seed, database):
    tell(seed, 50, database)


@pytest.mark.fuzz
def test_whatever_the_order_no_check_in_is_lost_or_made_twice_for_long(postgres):
    for seed in range(100, 100 + int(os.environ.get("FUZZ_EXAMPLES", "2000")) // 60):
        tell(seed, 200, postgres.new_database(f"story{seed}"))
