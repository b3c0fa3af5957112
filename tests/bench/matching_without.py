"""What each idea of the join is worth: the province's world with one of them taken out, other filters, derivations."""

from functools import partial

import kernel_variants
from derivation_variants import limits, measured
from matching_ablations import all_days_at_once, by_day, ids_from_files
from matching_ours import local_join
from matching_rounds import COMMAND, Rounds, short
from matching_shapes import PROVINCE
from results_table import Line

SHARDS = (1, 2, 4)
TARGET_M_IDS = {"bluezone": 10.0, "gaen": 9.0}  # a second on one core
_KEYS, _TIMES = 2048, 3


def without(rounds: Rounds) -> list[Line]:
    """A line a variant; all must find the same."""
    return [*_joins(rounds), *_filters(rounds), *_derivations(rounds)]


def _joins(rounds: Rounds) -> list[Line]:
    world = rounds.world(PROVINCE.scaled(rounds.scale))
    made_s = rounds.materialised(world).seconds
    variants = {
        "join of one process, reading not counted: IDs derived day by day": by_day,
        "the same, all 14 days at once": all_days_at_once,
        f"the same, IDs from files (making them took {made_s:.1f} s before)": ids_from_files,
    }
    for shards in SHARDS:
        variants[f"bztoken, 2 processes, reading counted: days in {shards} parts"] = partial(
            local_join, workers=2, least_shards=shards
        )
    lines = []
    for name, run in variants.items():
        outcome = rounds.apart(run, world)
        if outcome.timed is not None:
            rounds.compare(name, world, outcome.timed.answer)
        lines.append(_line(name, short(outcome)))
    return lines


def _filters(rounds: Rounds) -> list[Line]:
    """Of one day of the province: a filter over its sightings is built, and the day's IDs stream against it."""
    found = []
    for row in rounds.answer_of(kernel_variants.lines, "province", _TIMES):
        _, name, row_ns, id_ns, strangers, all_ms = (cell.strip() for cell in row.strip("|").split("|"))
        told = f"{all_ms} ms: {row_ns} ns a record, {id_ns} ns an ID; {strangers} of strangers pass"
        found.append(_line(f"a day of the province, before the exact join: {name}", told))
    return found


def _derivations(rounds: Rounds) -> list[Line]:
    lines = []
    floors = rounds.answer_of(limits)
    for scheme, target in TARGET_M_IDS.items():
        for name, speed in rounds.answer_of(measured, scheme, _KEYS).items():
            ours = "(compiled)" in name
            goal = (f">= {target:g} M IDs/s", speed >= target) if ours else ("-", None)
            lines.append(_line(f"{scheme}, one core: {name}", f"{speed:.2f} M IDs/s", *goal))
        lines += [_line(f"{scheme}, one core: {name}", f"{speed:.1f} M/s") for name, speed in floors[scheme].items()]
    return lines


def _line(what: str, told: str, target: str = "-", met: bool | None = None) -> Line:
    return Line(what, target, told, met, COMMAND.format("without"))
