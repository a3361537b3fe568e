"""The checker against mistakes that nobody has listed.

A fresh sample each time; `FUZZ_SEED=12` draws that of a run before, `FUZZ_MUTANTS=9999` takes all.
"""

import ast
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from playattention.course import EXERCISES, exercise
from tests.course.equivalents import EQUIVALENTS
from tests.course.fuzz import Mutant, mutants, sample

SEED = int(os.environ.get("FUZZ_SEED", random.SystemRandom().randrange(1_000_000)))
COUNT = int(os.environ.get("FUZZ_MUTANTS", "50"))
SECONDS = 6.0
"""For one mutant, on a machine that may be busy."""

pytestmark = pytest.mark.slow

FUZZED = [name for name in EXERCISES if exercise(name).mistakes]


class Judges:
    """A process that judges, replaced where a mutant has ended it or has taken too long."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[str] | None = None

    def passes(self, source: str) -> bool:
        """Tell whether a mutant passes; one that ends its process or takes too long does not."""
        process = self.process or self._started()
        process.stdin.write(json.dumps(source) + "\n")
        process.stdin.flush()
        limit = threading.Timer(SECONDS, process.kill)
        limit.start()
        answer = process.stdout.readline()
        limit.cancel()
        if not answer:
            self.end()
        return answer == "true\n"

    def end(self) -> None:
        """End the process, if there is one."""
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _started(self) -> subprocess.Popen[str]:
        line = [sys.executable, str(Path(__file__).with_name("judging.py")), self.name]
        self.process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout.readline() == "ready\n"
        return self.process


@pytest.fixture
def judges(request: pytest.FixtureRequest) -> Iterator[Judges]:
    one = Judges(request.node.callspec.params["name"])
    yield one
    one.end()


def reason(name: str, mutant: Mutant) -> str | None:
    """Return why a mutant is as right as the reference, if it is."""
    for before, after, why in EQUIVALENTS.get(name, ()):
        if mutant.before == before and after in ("*", mutant.after):
            return why
    return None


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", FUZZED)
def test_mutants_that_nobody_has_listed_are_rejected(name: str, judges: Judges):
    assert judges.passes(exercise(name).solution)
    drawn = sample(mutants(exercise(name).solution), COUNT, SEED)
    wrong = [mutant for mutant in drawn if reason(name, mutant) is None]
    survivors = [mutant for mutant in wrong if judges.passes(mutant.source)]
    told = f"{name}, FUZZ_SEED={SEED}: {len(survivors)} of {len(wrong)} are not rejected"
    sys.stdout.write("\n    ".join([told, *map(str, survivors)]) + "\n")
    assert len(survivors) <= 0.05 * len(wrong), told


@pytest.mark.parametrize("name", FUZZED)
def test_every_equivalent_mutant_of_the_table_is_still_one(name: str, judges: Judges):
    """It can be made from the reference, and it passes: else it has no place in the table."""
    made = mutants(exercise(name).solution)
    stale = []
    for before, after, _ in EQUIVALENTS.get(name, ()):
        alike = [one for one in made if one.before == before and after in ("*", one.after)]
        if not any(judges.passes(one.source) for one in alike):
            stale.append((before, after))
    assert stale == []


# The means.


@pytest.mark.parametrize("name", ["causal_mask"])
def test_a_mutant_that_never_ends_or_ends_the_process_is_rejected(
    name: str, judges: Judges, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(f"{__name__}.SECONDS", 2.0)
    assert not judges.passes("while True: pass")
    assert not judges.passes("import os\nos._exit(0)")
    assert not judges.passes("raise SystemExit")
    assert judges.passes(exercise(name).solution)


def test_mutants_differ_from_the_source_and_from_each_other():
    source = exercise("causal_mask").solution
    texts = [mutant.source for mutant in mutants(source)]
    assert len(set(texts)) == len(texts) > 50
    assert ast.unparse(ast.parse(source)) not in texts


def test_a_seed_draws_the_same_sample_and_another_seed_another():
    made = mutants(exercise("optimizer").solution)
    assert sample(made, 20, 1) == sample(made, 20, 1) != sample(made, 20, 2)
