"""The numbers of a preset in words, for `bztoken scoring show` and whoever else shows them to a person."""

from bztoken.scoring.about import Described
from bztoken.scoring.attenuation import PER_WINDOW_DB, SYSTEMATIC_DB
from bztoken.scoring.bluezone import Bluezone
from bztoken.scoring.cwa import Cwa
from bztoken.scoring.cwa_configuration import LEVELS, Range
from bztoken.scoring.weighted import WeightedWindows
from bztoken.scoring.windows import HIGH, STANDARD

_WITHOUT_END = 9999  # how Corona-Warn-App writes that there is no upper bound


def of(preset: Described) -> dict[str, str]:
    """What each number means, and the number."""
    numbers: dict[str, str] = {}
    match preset:
        case Bluezone():
            numbers = _bluezone(preset)
        case WeightedWindows():
            numbers = _weighted(preset)
        case Cwa():
            numbers = _cwa(preset)
    limit = preset.about.max_age_days
    return {
        **numbers,
        "looks back": "as far as there are logs" if limit is None else f"{limit} days",
        "uncertainty of a day's attenuation": f"{SYSTEMATIC_DB:g} dB, and {PER_WINDOW_DB:g} dB / root of its windows",
    }


def _bluezone(preset: Bluezone) -> dict[str, str]:
    return {
        "band near": f"up to {preset.bands.near_max_db:g} dB",
        "band middle": f"up to {preset.bands.middle_max_db:g} dB",
        "a minute counts": "in windows of 5 minutes whose mean is near or middle",
        "F1": f"from {preset.close_minutes_f1} minutes a day on",
    }


def _weighted(preset: WeightedWindows) -> dict[str, str]:
    span = "up to" if preset.included else "below"
    weights = [
        f"x {weight:g} {span} {bound:g} dB" for weight, bound in zip(preset.weights, preset.bounds_db, strict=False)
    ]
    numbers = {
        "a minute counts": ", ".join([*weights, f"x {preset.weights[-1]:g} beyond"]),
        "compares": "the strongest packet of a record" if preset.compares_minimum else "the mean of a record",
        "a day is": "its largest window" if preset.day_is_largest else "the sum of its windows",
        "levels": ", ".join(
            f"{level.name} ({level.verdict}) from {level.from_minutes:g} weighted minutes on" for level in preset.levels
        ),
    }
    found = preset.infectiousness
    if found is not None:
        for called, wanted in (("standard", STANDARD), ("high", HIGH)):
            days = ", ".join(
                f"{day:+d}" if day else "0" for day, value in sorted(found.by_day.items()) if value == wanted
            )
            numbers[f"infectiousness {called}"] = f"x {found.weights[wanted]:g} on days {days} since onset"
    return numbers


def _cwa(preset: Cwa) -> dict[str, str]:
    configuration = preset.configuration
    values = {
        level: configuration.risk_values.get(level, configuration.risk_multiplier * level) for level in range(1, 9)
    }
    return {
        "a minute counts": ", ".join(f"x {weight:g} at {_span(found)} dB" for found, weight in configuration.weights),
        "compares": "the strongest packet of a record",
        "transmission risk level": ", ".join(f"{level} x {value:g}" for level, value in values.items()),
        "levels of a day": ", ".join(
            f"{LEVELS[level]} at {_span(found)} normalised minutes" for found, level in configuration.day_levels
        ),
    }


def _span(found: Range) -> str:
    if found.high >= _WITHOUT_END:
        return f"{found.low:g} or more"
    return f"{found.low:g} to {'under ' if found.high_exclusive else ''}{found.high:g}"
