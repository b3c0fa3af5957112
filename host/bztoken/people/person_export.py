"""All that is held about one person, for themselves: one JSON document, and the same on pages to be read.

Names are only those that were told for them (carer, witness): not whose case they were near, not whom they met. No ID
and no key is in it, and no readings of a token's clock and memory: they tell of the device, not of the person.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from bztoken.calendar_days import VIETNAM
from bztoken.errors import PersonError, PrintError
from bztoken.home import private_file
from bztoken.registry import audit, follow_ups, issues, person_rows, persons
from bztoken.registry.audit import Action, What
from bztoken.registry.audit_search import about_person
from bztoken.registry.database import Registry
from bztoken.registry.models import (
    AuditEntry,
    Case,
    CaseId,
    CaseKey,
    Commune,
    Consent,
    Exposure,
    FollowUp,
    Log,
    Page,
    PeerKey,
    Person,
    Sighting,
    Sync,
    Token,
    TokenEvent,
    Visit,
)
from bztoken.registry.person_rows import About
from bztoken.registry.whose_then import WhoseThen

FORMAT = "bztoken person 1"
_LONGEST_BREAK_S = 600  # between two windows of one ID that count as one encounter
Document = dict[str, Any]


@dataclass(frozen=True)
class Exported:
    """files: the JSON, the PDF; encounters: how many are told."""

    number: str
    files: tuple[Path, Path]
    encounters: int


def export(registry: Registry, text: str, out: Path, now_s: int, *, replace: bool = False) -> Exported:
    """Write both files, or none; the audit has it before they are there. Raises PersonError, PrintError or OSError."""
    from bztoken.printing.person_pages import person_pages  # only who prints loads the typesetter

    with registry.write() as session:
        person = persons.by_reference(session, text)
        number = persons.number_of(person.id)
        files = _files(out, number, replace)
        audit.record(session, Action.EXPORT, What.PERSON, now_s, person.id, "for themselves")
        document = document_of(session, person, now_s)
        pages = person_pages(document)
    raw = json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
    _write_both(files, (raw, pages))
    return Exported(number, files, len(document["encounters"]))


def document_of(session: Session, person: Person, now_s: int) -> Document:
    """Everything, as it is written. Times are those of Vietnam."""
    found = person_rows.about(session, person.id)
    items = person_rows.follow_ups_of(session, found)
    return {
        "format": FORMAT,
        "made_at": _time(now_s),
        "person": _person(session, person),
        "consents": [_consent(row) for row in _of(session, Consent, Consent.person_id, person.id)],
        "tokens": [_token(session, row) for row in issues.of_person(session, person.id)],
        "token_events": list(_token_events(session, person.id)),
        "logs": [_log(session, log_id) for log_id in found.logs],
        "syncs": [_sync(row) for row in _of_logs(session, Sync, found, Sync.started_s)],
        "encounters": list(_encounters(session, found.logs)),
        "exposures": [_exposure(row) for row in _of_logs(session, Exposure, found, Exposure.first_s)],
        "visits": list(_visits(session, found)),
        "follow_ups": list(_follow_ups(session, items)),
        "cases": [_case(session, row) for row in found.cases],
        "audit": [_entry(row) for row in _audit(session, person, found, items)],
    }


def _person(session: Session, person: Person) -> Document:
    commune = None if person.commune_id is None else session.get_one(Commune, person.commune_id).name
    return {
        "number": persons.number_of(person.id),
        "name": person.name,
        "birth_year": person.birth_year,
        "commune": commune,
        "phone": person.phone,
        "phone_of": person.phone_of,
        "carer": person.carer,
        "agency": person.agency,
        "state": person.state,
        "added_at": _time(person.added_at_s),
    }


def _consent(row: Consent) -> Document:
    return {
        "purpose": row.purpose,
        "text_version": row.text_version,
        "language": row.language,
        "given_on": row.given_on,
        "witness": row.witness,
        "recorded_at": _time(row.recorded_at_s),
        "withdrawn_at": _time(row.withdrawn_at_s),
    }


def _token(session: Session, row: Any) -> Document:
    label = session.get_one(Token, row.token_id).label
    return {"label": label, "issued_at": _time(row.issued_at_s), "returned_at": _time(row.returned_at_s)}


def _token_events(session: Session, person_id: int) -> Iterable[Document]:
    """What happened to their tokens since they got them; a token is one person's, until it is another."""
    since_s: dict[int, int] = {}
    for row in issues.of_person(session, person_id):
        since_s.setdefault(row.token_id, row.issued_at_s)
    for token_id, at_s in since_s.items():
        label = session.get_one(Token, token_id).label
        query = select(TokenEvent).where(TokenEvent.token_id == token_id, TokenEvent.at_s >= at_s)
        for event in session.scalars(query.order_by(TokenEvent.id)):
            at, by = _time(event.at_s), event.by
            yield {"label": label, "at": at, "event": event.event, "by": by, "detail": event.detail}


def _sync(row: Sync) -> Document:
    """When a token was read, and its battery then."""
    return {
        "read_at": _time(row.started_s),
        "state": row.state,
        "pages": row.pages_new,
        "firmware": row.firmware,
        "battery_mv": row.battery_mv,
    }


def _log(session: Session, log_id: int) -> Document:
    row = session.get_one(Log, log_id)
    heard = select(func.count(Sighting.id), func.min(Sighting.first_s), func.max(Sighting.last_s))
    sightings, first_s, last_s = session.execute(heard.where(Sighting.log_id == log_id)).one()
    pages = session.scalar(select(func.count(Page.id)).where(Page.log_id == log_id))
    released = session.scalar(select(func.count(PeerKey.id)).where(PeerKey.log_id == log_id))
    return {
        "of": row.kind,
        "label": row.label,
        "pages": pages,
        "sightings": sightings,
        "first": _time(first_s),
        "last": _time(last_s),
        "keys_released": released,
    }


def _encounters(session: Session, log_ids: Sequence[int]) -> Iterable[Document]:
    """One ID as long as it was heard without a long break; who it was, nobody knows."""
    columns = (Sighting.log_id, Sighting.rotating_id, Sighting.first_s, Sighting.last_s, Sighting.rssi_max_dbm)
    query = select(*columns, Sighting.packets).where(Sighting.log_id.in_(log_ids))
    open_ones: dict[tuple[int, bytes], list[int]] = {}
    spans: list[list[int]] = []
    for log_id, one, first_s, last_s, rssi_dbm, packets in session.execute(query.order_by(Sighting.first_s)):
        span = open_ones.get((log_id, one))
        if span is None or first_s - span[1] > _LONGEST_BREAK_S:
            span = open_ones[log_id, one] = [first_s, last_s, rssi_dbm, 0]
            spans.append(span)
        span[1], span[2], span[3] = max(span[1], last_s), max(span[2], rssi_dbm), span[3] + packets
    for first_s, last_s, rssi_dbm, packets in spans:
        minutes = max(1, round((last_s - first_s) / 60))
        yield {
            "from": _time(first_s),
            "to": _time(last_s),
            "minutes": minutes,
            "strongest_rssi_dbm": rssi_dbm,
            "packets": packets,
        }


def _exposure(row: Exposure) -> Document:
    """Not whose case it was, and not through whom."""
    return {
        "day": row.day,
        "degree": "F1" if row.via_log_id == 0 else "F2",
        "verdict": row.verdict,
        "minutes": row.minutes,
        "close_minutes": row.close_minutes,
        "band": row.band,
        "attenuation_db": row.attenuation_db,
        "rule": f"{row.rule} {row.rule_version}",
    }


def _visits(session: Session, found: About) -> Iterable[Document]:
    rows = _of_logs(session, Visit, found, Visit.first_s)
    then = WhoseThen(session, [row.site_log_id for row in rows])
    for row in rows:
        site = then.of(row.site_log_id, row.first_s)
        place = site.name if site.site_id is not None or site.kind.value == "site" else "?"
        yield {"place": place, "from": _time(row.first_s), "to": _time(row.last_s), "minutes": row.minutes}


def _follow_ups(session: Session, items: Sequence[FollowUp]) -> Iterable[Document]:
    steps = follow_ups.steps_of(session, items)
    for item in items:
        yield {
            "degree": f"F{item.degree}",
            "state": item.state,
            "opened_at": _time(item.opened_at_s),
            "steps": [{"at": _time(one.at_s), "step": one.step, "by": one.by} for one in steps[item.id]],
        }


def _case(session: Session, row: Case) -> Document:
    count = {
        table.__tablename__: session.scalar(select(func.count(table.id)).where(table.case_id == row.id))
        for table in (CaseKey, CaseId)
    }
    return {
        "name": row.name,
        "state": row.state,
        "source": row.source,
        "recorded_at": _time(row.recorded_at_s),
        "report_type": row.report_type,
        "onset_day": row.onset_day,
        "test_day": row.test_day,
        "first_day": row.first_day,
        "last_day": row.last_day,
        "keys": count["case_keys"],
        "ids": count["case_ids"],
    }


def _audit(session: Session, person: Person, found: About, items: Sequence[FollowUp]) -> Sequence[AuditEntry]:
    """Who looked at or changed what is told here."""
    of_cases = (AuditEntry.what == What.CASE) & AuditEntry.number.in_([case.id for case in found.cases])
    of_items = (AuditEntry.what == What.CONTACT) & AuditEntry.number.in_([item.id for item in items])
    query = select(AuditEntry).where(or_(about_person(person.id), of_cases, of_items))
    return session.scalars(query.order_by(AuditEntry.id)).all()


def _entry(row: AuditEntry) -> Document:
    return {
        "entry": row.id,
        "at": _time(row.at_s),
        "by": row.by,
        "role": row.role,
        "action": row.action,
        "what": row.what,
        "detail": row.detail,
    }


def _of(session: Session, table: Any, column: Any, number: int) -> Sequence[Any]:
    return session.scalars(select(table).where(column == number).order_by(table.id)).all()


def _of_logs(session: Session, table: Any, found: About, at_s: Any) -> Sequence[Any]:
    return session.scalars(select(table).where(table.log_id.in_(found.logs)).order_by(at_s, table.id)).all()


def _time(unix_s: int | None) -> str | None:
    return None if unix_s is None else datetime.fromtimestamp(unix_s, VIETNAM).isoformat(timespec="minutes")


def _files(out: Path, number: str, replace: bool) -> tuple[Path, Path]:
    base = out / number if out.is_dir() else out.with_suffix("") if out.suffix in (".json", ".pdf") else out
    files = base.with_name(f"{base.name}.json"), base.with_name(f"{base.name}.pdf")
    if not base.parent.is_dir():
        raise PersonError(f"{base.parent} is no folder: nothing was written, make it first or name another")
    folders = [path for path in files if path.is_dir()]
    if folders:
        raise PersonError(f"{folders[0]} is a folder: nothing was written, choose another name")
    there = [path for path in files if path.exists()]
    if there and not replace:
        raise PersonError(f"{there[0]} exists already: nothing was written, choose another name, or add --force")
    return files


def _write_both(files: tuple[Path, Path], contents: tuple[bytes, bytes]) -> None:
    """Only their owner may read them. Raises PrintError; then neither is there, nor changed."""
    beside = [path.with_name(f".{path.name[:100]}.{os.getpid()}") for path in files]
    there: list[Path] = []
    try:
        for path, content in zip(beside, contents, strict=True):
            with private_file(path) as file:
                file.write(content)
        for path, target in zip(beside, files, strict=True):
            path.replace(target)
            there.append(target)
    except OSError as error:
        for target in there:
            target.unlink()
        reason = (error.strerror or type(error).__name__).lower()
        raise PrintError(f"{files[0].parent} cannot be written ({reason}): nothing was written there") from error
    finally:
        for path in beside:
            path.unlink(missing_ok=True)
