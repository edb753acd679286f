"""A mutation run: so many small wrongs in the modules that guard data, each of which some test should notice.

    python -m tests.mutation.run --mutants 300 --seed 1 --workers 2 [--only PATH] [--unchecked] [--output FILE]

Each mutant lies in a copy of the repository and is run against the tests that cover its module, the quickest first. One
that no test notices has survived: it is printed, to be judged by a person, because some wrongs change nothing that
anybody could see. The exit code is 0 when at least 85 % were noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from queue import Queue

from tests.mutation.operators import Mutant, mutants
from tests.mutation.targets import TARGETS, covering
from tests.support.root import ROOT

COPIED = (
    "pipelines",
    "redcap_source",
    "tests",
    "docs",
    "deploy",
    "README.md",
    "Makefile",
    "pyproject.toml",
    "workspace.yaml",
)
ENOUGH = 0.85
# A mutant that loops for ever is noticed by whoever waits.
SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one mutant."""

    mutant: Mutant
    noticed_by: str | None
    """The stage of tests that noticed; None if the mutant survived."""

    def __str__(self) -> str:
        end = f"noticed by {self.noticed_by}" if self.noticed_by else "SURVIVED"
        return f"{self.mutant.path}:{self.mutant.line}: {self.mutant.change}: {end}"


def drawn(number: int, seed: int, only: str | None) -> list[Mutant]:
    """Mutants by lot, from all targets alike: a long module is not tried more than it is long."""
    every = [
        mutant
        for path in sorted(TARGETS)
        if (ROOT / path).exists() and (only is None or only in path)
        for mutant in mutants(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    return random.Random(seed).sample(every, min(number, len(every)))


def judged(chosen: list[Mutant], workers: int, *, unchecked: bool = False) -> Iterator[Result]:
    """What becomes of each mutant, as it becomes known."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        if not unchecked:
            _check_unchanged(chosen, _copied(Path(folder) / "unchanged"))
        copies: Queue[Path] = Queue()
        for number in range(workers):
            copies.put(_copied(Path(folder) / str(number)))

        def one(mutant: Mutant, stage: int) -> Result:
            copy = copies.get()
            try:
                return _tried(mutant, copy, stage)
            finally:
                copies.put(copy)

        survivors = chosen
        with ThreadPoolExecutor(workers) as pool:
            # Most are noticed by their module's own tests; only the rest are worth those of the area, then all of it.
            for stage in range(max(len(covering(mutant.path)) for mutant in chosen)):
                left = []
                for result in pool.map(one, survivors, repeat(stage)):
                    if result.noticed_by is None and stage + 1 < len(covering(result.mutant.path)):
                        left.append(result.mutant)
                    else:
                        yield result
                survivors = left


def _check_unchanged(chosen: list[Mutant], copy: Path) -> None:
    """Tests that fail without any mutant would notice every one of them."""
    tests = dict.fromkeys(test for mutant in chosen for stage in covering(mutant.path) for test in stage)
    if failed := _failure(list(tests), copy, seconds=None):
        raise SystemExit(f"{failed}\nThe tests fail as it is, so they can judge no mutant.")


def _copied(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def _tried(mutant: Mutant, copy: Path, number: int) -> Result:
    target = copy / mutant.path
    original = target.read_text(encoding="utf-8")
    target.write_text(mutant.text, encoding="utf-8")
    try:
        stage = covering(mutant.path)[number]
        return Result(mutant, " ".join(stage) if _failure(list(stage), copy) else None)
    finally:
        target.write_text(original, encoding="utf-8")


def _failure(tests: list[str], copy: Path, seconds: int | None = SECONDS) -> str:
    """The end of what the first test that fails printed; nothing if all pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", "-m", "not fuzz and not recorded", *tests]
    # Commands that tests start find the mutant first, too.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not through after {seconds} s"
    return run.stdout[-2000:] if run.returncode else ""


def main() -> int:
    """Run as asked on the command line; 0 where enough was noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="only sources whose path has this in it")
    parser.add_argument("--unchecked", action="store_true", help="the tests have just passed; do not run them first")
    parser.add_argument("--output", type=Path, help="a file that gets a line of JSON for each mutant, as it is known")
    asked = parser.parse_args()
    chosen = drawn(asked.mutants, asked.seed, asked.only)
    if not chosen:
        parser.error("no guarded source has that in its path")
    results = []
    for result in judged(chosen, asked.workers, unchecked=asked.unchecked):
        results.append(result)
        print(f"{len(results):>4}  {result}", flush=True)
        if asked.output:
            facts = {"path": result.mutant.path, "line": result.mutant.line, "change": result.mutant.change}
            with asked.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**facts, "noticed_by": result.noticed_by}) + "\n")
    return _summed_up(results)


def _summed_up(results: list[Result]) -> int:
    tried, noticed = Counter[str](), Counter[str]()
    for result in results:
        tried[result.mutant.path] += 1
        noticed[result.mutant.path] += result.noticed_by is not None
    for path, number in sorted(tried.items()):
        print(f"{noticed[path]:>4} of {number:>3}  {path}")
    share = sum(noticed.values()) / max(1, len(results))
    print(f"{sum(noticed.values())} of {len(results)} noticed: {share:.0%}. Those that survived:")
    for result in results:
        if result.noticed_by is None:
            print(f"  {result}")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    raise SystemExit(main())
