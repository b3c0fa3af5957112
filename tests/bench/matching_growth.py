"""How time and memory grow with the records, the province's keys staying: a line each, and the chart."""

from dataclasses import replace

from matching_chart import Curve, draw
from matching_competitors import World
from matching_engines import ENGINES, GROWING
from matching_lake import part_of_lake
from matching_rounds import COMMAND, Outcome, Rounds, short
from matching_shapes import MILLION, PROVINCE, Shape
from results_table import RESULTS, Line

_CHART = "matching.svg"
_LARGE = replace(PROVINCE, records=100 * MILLION)
# million records: of which lake, how many of its ten clinics
_STEPS = {1: (PROVINCE, 1), 3: (PROVINCE, 3), 10: (PROVINCE, 10), 30: (_LARGE, 3), 100: (_LARGE, 10)}


def grow(rounds: Rounds) -> list[Line]:
    """Writes the chart when the whole is measured."""
    outcomes: dict[str, list[tuple[float, Outcome, World]]] = {name: [] for name in GROWING if name in rounds.only}
    for millions, (whole, clinics) in _STEPS.items():
        world = _world(rounds, whole.scaled(rounds.scale), clinics)
        for name, of_engine in outcomes.items():
            if millions in GROWING[name]:
                of_engine.append((millions * rounds.scale, rounds.run(name, world), world))
    lines = [_line(name, millions, outcome) for name, ran in outcomes.items() for millions, outcome, _ in ran]
    curves = [_curve(name, ran) for name, ran in outcomes.items()]
    if "duckdb" in outcomes:
        curves.insert(2, _with_ids(rounds, outcomes["duckdb"]))
    if rounds.is_whole:
        title = f"Matching {PROVINCE.days} x {PROVINCE.keys_per_day:,} keys ({PROVINCE.ids / 1e6:.0f} million IDs)"
        under = "Two cores; what an engine takes to start is not counted. Made by make bench-matching."
        (RESULTS / _CHART).write_text(draw(title, under, curves))
    return lines


def _world(rounds: Rounds, whole: Shape, clinics: int) -> World:
    world = rounds.world(whole)
    shape = replace(whole, name=f"growth-{whole.records}-{clinics}", records=whole.records * clinics // whole.clinics)
    if clinics == whole.clinics:
        return world._replace(shape=shape)
    path = world.lake.parent / shape.name
    part_of_lake(path, world.lake, whole, clinics)
    return World(shape, path, world.ids)


def _line(name: str, millions: float, outcome: Outcome) -> Line:
    what = f"{millions:g} M records: {ENGINES[name].title}"
    return Line(what, "-", short(outcome), None, COMMAND.format("growth"))


def _curve(name: str, ran: list[tuple[float, Outcome, World]]) -> Curve:
    points = [(millions, one.work_s, one.memory_gib) for millions, one, _ in ran if one.timed is not None]
    return Curve(ENGINES[name].short, points)


def _with_ids(rounds: Rounds, ran: list[tuple[float, Outcome, World]]) -> Curve:
    """With what deriving and writing the IDs takes before; the memory is that of the join."""
    points = [
        (millions, one.work_s + rounds.materialised(world).seconds, 0.0)
        for millions, one, world in ran
        if one.timed is not None
    ]
    return Curve("DuckDB, IDs made first", points)
