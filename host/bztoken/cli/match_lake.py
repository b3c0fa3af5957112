"""`bztoken match --lake`: the keys that are matched, where, and how the answer is shown or written.

Packages of the extras are loaded when they are needed, so that without them there is a sentence.
"""

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bztoken import scoring
from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.errors import LakeError
from bztoken.formats.export_signature import load_public_key
from bztoken.home import Home, private_file
from bztoken.lake import require_packages
from bztoken.matching.engines import Engine
from bztoken.matching.engines.local import LocalEngine
from bztoken.matching.loose_keys import read_keys
from bztoken.matching.run import Progress
from bztoken.matching.tolerance import CAP_S
from bztoken.out_files import require_unread, require_writable
from bztoken.registry import audit
from bztoken.registry.database import open_registry
from bztoken.scoring.choice import chosen

if TYPE_CHECKING:
    from bztoken.matching.lake_batch import LakeMatch

LOCAL, SPARK = "local", "spark"
_SHOWN = 30  # rows on the screen; the file has all


class Asked(NamedTuple):
    """As it was typed. cases: files with keys; none for those of the registry."""

    lake: Path
    cases: list[Path]
    public_key: Path | None
    is_unverified: bool
    tolerance_s: int
    engine: str
    master: str
    workers: int | None
    out: Path | None
    as_json: bool


def match_lake(home: Home, asked: Asked, progress: Progress) -> None:
    """Match, then show or write. Raises LakeError, EngineError, FormatError, HomeError, RegistryError, PrintError."""
    require_packages()
    engine = engine_named(asked.engine, asked.master, asked.workers)
    if asked.out is not None:
        _require_out(home, asked.out, asked)
    found = _of_files(asked, engine, progress) if asked.cases else _of_registry(home, asked, engine, progress)
    _tell(found, asked)


def _require_out(home: Home, out: Path, asked: Asked) -> None:
    home.require_outside(out)
    folder = out.parent.resolve()
    if asked.lake.resolve() in (folder, *folder.parents):
        raise LakeError(f"{out} lies in the lake itself: nothing was changed, choose another folder")
    require_unread(out, asked.cases)
    require_writable(out)


def engine_named(name: str, master: str, workers: int | None) -> Engine:
    """Raises EngineError where what it needs is not installed."""
    if name == LOCAL:
        return LocalEngine(workers)
    from bztoken.matching.engines.spark import SparkEngine

    return SparkEngine(master)


def _of_files(asked: Asked, engine: Engine, progress: Progress) -> "LakeMatch":
    from bztoken.matching.lake_batch import OfFiles, match_lake

    key = None if asked.public_key is None else load_public_key(asked.public_key)
    keys = read_keys(asked.cases, key, asked.is_unverified, int(time.time()))
    preset = scoring.load(scoring.DEFAULT)
    return match_lake(asked.lake, OfFiles(keys), asked.tolerance_s, preset, engine, progress)


def _of_registry(home: Home, asked: Asked, engine: Engine, progress: Progress) -> "LakeMatch":
    """Who was found is told to the audit, in numbers."""
    from bztoken.matching.lake_batch import OfRegistry, match_lake

    home.require_clinic()
    with open_registry(home) as registry:
        with registry.read() as session:
            preset = chosen(session)
            found = match_lake(asked.lake, OfRegistry(session), asked.tolerance_s, preset, engine, progress)
        with registry.write() as session:
            detail = f"over a lake, rule {preset.name} {preset.version}: {len(found.exposures)} exposures"
            audit.record(session, audit.Action.MATCH, audit.What.REGISTRY, int(time.time()), detail=detail)
    return found


def _tell(found: "LakeMatch", asked: Asked) -> None:
    from bztoken.report.lake_contacts import contacts_csv, document

    say(f"starting took {found.startup_s:.1f} s, matching {found.rows:,} sightings {found.work_s:.1f} s")
    if asked.out is not None:
        with private_file(asked.out) as file:  # who met whom is nobody else's business
            file.write(contacts_csv(found.exposures))
    if asked.as_json:
        answer_json(document(found))
        if not found.rows:
            say(_why_nothing(found, asked))
        return
    if not found.rows:
        answer(_why_nothing(found, asked))
        return
    verdicts = Counter(one.score.verdict for one in found.exposures)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())) or "nobody was near a case"
    answer(f"{found.sightings} sightings on {found.days} days make {len(found.exposures)} exposures: {told}.")
    for sentence in about_clocks(found.unknown_clocks, found.bad_clocks, asked.tolerance_s):
        answer(sentence)
    if found.visits:
        answer(f"Visits to places with a token: {len(found.visits)}; --json names them.")
    if asked.out is not None:
        answer(f"Written to {asked.out}. It says who was near whom: give each clinic its own lines only.")
    elif found.exposures:
        _show(found)


def _why_nothing(found: "LakeMatch", asked: Asked) -> str:
    """For a match that had nothing to look for, or nothing to look at: that nobody was near does not follow."""
    if not found.days:
        where = "these files hold" if asked.cases else "the registry has"
        return f"There was no key to look for, so this says nothing of anybody: {where} none of a case."
    return (
        "The lake has no encounters of the days of these keys, so this says nothing of anybody: "
        f"`bztoken lake list {asked.lake}` shows which days it has."
    )


def about_clocks(unknown: int, bad: int, tolerance_s: int) -> list[str]:
    """What the times of the sightings that were found are worth, where it is less than usual."""
    found = []
    if unknown:
        found.append(
            f"{unknown} of the sightings are by tokens of whose clock nothing is known: they count up to "
            f"{tolerance_s // 60} minutes off. Sync these tokens to know more."
        )
    if bad:
        found.append(
            f"{bad} of the sightings are by tokens whose clock may have been more than "
            f"{tolerance_s // 60} minutes off: they count up to {max(CAP_S, tolerance_s) // 3600} hours off, so ask "
            "these people whether the time can be right."
        )
    return found


def _show(found: "LakeMatch") -> None:
    rows = [
        (
            one.case,
            "" if one.via is None else f"{one.via.clinic or '-'} {one.via.number}",
            one.log.clinic or "-",
            one.log.number,
            one.day,
            one.score.minutes,
            one.score.close_minutes,
            one.score.band,
            one.score.verdict,
        )
        for one in found.exposures[:_SHOWN]
    ]
    headings = ("case", "through", "clinic", "log", "day (UTC)", "minutes", "close minutes", "band", "verdict")
    answer_table(headings, rows, "")
    if len(found.exposures) > _SHOWN:
        answer(f"{len(found.exposures) - _SHOWN} more: --out FILE.csv writes all of them.")
