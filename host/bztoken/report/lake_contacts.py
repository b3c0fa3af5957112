"""Exposures that a match over a lake found, as a CSV for a spreadsheet and as one document for programs."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from bztoken.formats.spreadsheet import plain
from bztoken.matching.lake_batch import LakeExposure, LakeLog, LakeMatch

_HEADINGS = (
    "case", "through_clinic", "through_log", "clinic", "log", "day_utc", "minutes", "close_minutes", "windows",
    "first_unix_s", "last_unix_s", "band", "nearest", "farthest", "verdict",
)  # fmt: skip


def contacts_csv(exposures: Sequence[LakeExposure]) -> bytes:
    """A line an exposure; whole numbers only, because spreadsheets in Vietnam read `0.5` as something else."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_HEADINGS)
    for one in exposures:
        score = one.score
        writer.writerow(
            [
                plain(one.case),
                *(("", "") if one.via is None else _log(one.via)),
                *_log(one.log),
                one.day,
                score.minutes,
                score.close_minutes,
                score.windows,
                score.first_s,
                score.last_s,
                score.band,
                score.nearest,
                score.farthest,
                score.verdict,
            ]
        )
    return text.getvalue().encode("utf-8-sig")


def _log(log: LakeLog) -> tuple[str, str]:
    return plain(log.clinic or ""), str(log.number)


def document(found: LakeMatch) -> dict[str, Any]:
    """Everything, with times in unix seconds and attenuation in dB."""
    return {
        "days": found.days,
        "rows": found.rows,
        "sightings": found.sightings,
        "unknown_clocks": found.unknown_clocks,
        "bad_clocks": found.bad_clocks,
        "startup_s": round(found.startup_s, 2),
        "work_s": round(found.work_s, 2),
        "exposures": [
            {
                "case": one.case,
                "through": None if one.via is None else one.via._asdict(),
                **one.log._asdict(),
                "day": one.day,
                **one.score._asdict(),
            }
            for one in found.exposures
        ],
        "visits": [
            {
                "site": one.site._asdict(),
                **one.log._asdict(),
                **{name: value for name, value in one.stay._asdict().items() if not name.endswith("log_id")},
            }
            for one in found.visits
        ],
    }
