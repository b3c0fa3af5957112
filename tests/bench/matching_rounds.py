"""Makes worlds, lets one engine after the other match each, and sees that all of them found the same."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matching_competitors import Timed, World
from matching_engines import ASKED, ENGINES, THREADS, Engine
from matching_ids import Deriving
from matching_lake import Materialised, write_ids, write_lake
from matching_processes import GIB, Limits, Ran, apart
from matching_shapes import PROVINCE, Answer, Shape
from results_table import Line

AGAIN_BELOW_S, TIMES = 10.0, 2  # what is quicker runs so often, and the best run counts
SURELY_S = 5.0  # from a run that was quicker nothing is foretold
TARGET_MEMORY_GB = 1.0
COMMAND = "`python tests/bench/bench_matching.py --shape {}`"


class Outcome(NamedTuple):
    """timed: of the best run, None where why_not says why there is none; peak_bytes: the largest of all runs."""

    timed: Timed | None
    peak_bytes: int = 0
    cpu_s: float = 0.0
    why_not: str = ""

    @property
    def work_s(self) -> float:
        """Without the start."""
        return 0.0 if self.timed is None else work_s(self.timed)

    @property
    def memory_gib(self) -> float:
        """As tables tell it."""
        return self.peak_bytes / GIB


def work_s(timed: Timed) -> float:
    """All stages but the start."""
    return sum(seconds for stage, seconds in timed.stages.items() if stage != "start")


class Rounds:
    """most_s: an engine that would work longer is left out, as far as its last world tells."""

    def __init__(self, scratch: Path, scale: float, only: Sequence[str], most_s: float) -> None:
        self.scale, self.only = scale, only
        self._scratch, self._most_s = scratch, most_s
        self._limits = Limits(seconds=3 * most_s)
        self._materialised: dict[Path, Materialised] = {}
        self._answers: dict[tuple[Path, Path, bool], Answer] = {}
        self._lately: dict[str, tuple[int, float]] = {}
        self._outcomes: dict[tuple[str, Path, Path], Outcome] = {}

    @property
    def is_whole(self) -> bool:
        """Whether what is measured is what the results promise."""
        return self.scale == 1 and set(self.only) == set(ENGINES)

    def measure(self, shape: Shape) -> list[Line]:
        """A line an engine."""
        world = self.world(shape)
        outcomes = {name: self.run(name, world) for name in ASKED[shape.name] if name in self.only}
        return [self._line(name, world, outcomes) for name in outcomes]

    def world(self, shape: Shape) -> World:
        """Made when it is asked for the first time."""
        return World(shape, self.lake(shape), self._ids(shape))

    def lake(self, shape: Shape) -> Path:
        """Of the same records and the same keys that were met there is one."""
        path = self._scratch / f"lake-{shape.scheme.name}-{shape.records}-{shape.clinics}-{shape.met_per_day}"
        if not path.exists():
            _tell(f"making {shape.records:,} records")
            write_lake(path, shape, Deriving(shape), workers=min(THREADS, shape.clinics))
        return path

    def _ids(self, shape: Shape) -> Path:
        path = self._scratch / f"ids-{shape.scheme.name}-{shape.keys_per_day}"
        if path not in self._materialised:
            _tell(f"making {shape.ids:,} IDs")
            self._materialised[path] = self._apart(write_ids, path, shape, Deriving(shape)).answer
        return path

    def materialised(self, world: World) -> Materialised:
        """What it took to make its IDs."""
        return self._materialised[world.ids]

    def run(self, name: str, world: World) -> Outcome:
        """Of the same files it runs once. Raises AssertionError when it found something else than those before it."""
        known = name, world.lake, world.ids
        if known not in self._outcomes:
            self._outcomes[known] = self._run(name, world)
            _tell(f"{world.shape.name}: {name}: {short(self._outcomes[known])}")
        return self._outcomes[known]

    def _run(self, name: str, world: World) -> Outcome:
        size = world.shape.ids + world.shape.records
        before, seconds = self._lately.get(name, (size, 0.0))
        expected_s = seconds * size / before
        if expected_s > self._most_s and seconds > SURELY_S:
            return Outcome(None, why_not=f"not run: would take some {expected_s / 60:.0f} min")
        ran = [self._apart(ENGINES[name].run, world)]
        while ran[-1].answer is not None and work_s(ran[-1].answer) < AGAIN_BELOW_S and len(ran) < TIMES:
            ran.append(self._apart(ENGINES[name].run, world))
        outcome = best(ran)
        if outcome.timed is not None:
            self._lately[name] = size, outcome.work_s
            self.compare(name, world, outcome.timed.answer, ENGINES[name].scores)
        return outcome

    def compare(self, name: str, world: World, answer: Answer, scores: bool = False) -> None:
        """Raises AssertionError."""
        known = self._answers.setdefault((world.lake, world.ids, scores), answer)
        assert answer == known, f"{name} found {answer} in {world.shape.told()}, others {known}"

    def apart(self, run: Callable[[World], Timed], world: World) -> Outcome:
        """Something that is none of the engines."""
        return best([self._apart(run, world)])

    def answer_of(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Of something that measures itself."""
        return self._apart(function, *arguments).answer

    def _apart(self, function: Callable[..., Any], *arguments: object) -> Ran:
        return apart(self._limits, function, *arguments)

    def _line(self, name: str, world: World, outcomes: dict[str, Outcome]) -> Line:
        engine, outcome = ENGINES[name], outcomes[name]
        target, met = self._target(name, world.shape, outcomes)
        what = f"{world.shape.told()}: {engine.title}"
        return Line(what, target, self.told(engine, world, outcome), met, COMMAND.format(world.shape.name))

    def told(self, engine: Engine, world: World, outcome: Outcome) -> str:
        """Time, memory, and what was done before."""
        if outcome.timed is None:
            return outcome.why_not
        start_s = outcome.timed.stages["start"]
        parts = [
            f"{outcome.work_s:.2f} s, {outcome.memory_gib:.2f} GiB; start {start_s:.1f} s; CPU {outcome.cpu_s:.1f} s"
        ]
        if engine.needs_ids:
            made = self.materialised(world)
            parts.append(
                f"with deriving ({made.derive_s:.1f} s) and writing the IDs ({made.write_s:.1f} s, "
                f"{made.size_bytes / GIB:.2f} GiB) {outcome.work_s + made.seconds:.1f} s"
            )
        found = "sightings that were scored" if engine.scores else "found"
        return "; ".join(filter(None, [*parts, outcome.timed.told, f"{outcome.timed.answer.count:,} {found}"]))

    def _target(self, name: str, shape: Shape, outcomes: dict[str, Outcome]) -> tuple[str, bool | None]:
        if name != "bztoken" or shape != PROVINCE or outcomes.get("duckdb", Outcome(None)).timed is None:
            return "-", None
        join_s, outcome = outcomes["duckdb"].work_s, outcomes[name]
        met = outcome.timed is not None and outcome.work_s <= join_s and outcome.peak_bytes <= TARGET_MEMORY_GB * 1e9
        return f"<= {join_s:.2f} s (DuckDB's join), <= {TARGET_MEMORY_GB:g} GB", met


def short(outcome: Outcome) -> str:
    """Its figures in a few words."""
    return outcome.why_not or f"{outcome.work_s:.2f} s, {outcome.memory_gib:.2f} GiB; CPU {outcome.cpu_s:.1f} s"


def best(ran: Sequence[Ran]) -> Outcome:
    """The quickest; the largest memory of all."""
    peak_bytes = max(one.peak_bytes for one in ran)
    done = [one for one in ran if one.answer is not None]
    if not done:
        return Outcome(None, peak_bytes, why_not=ran[0].why_not)
    quickest = min(done, key=lambda one: work_s(one.answer))
    return Outcome(quickest.answer, peak_bytes, quickest.cpu_s)


def _tell(what: str) -> None:
    print(f"{what} ..", file=sys.stderr, flush=True)
