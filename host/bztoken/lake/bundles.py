"""Takes a courier's bundle into a lake: verified, opened and put right in time as an import into the registry would, in
a transaction that is undone at the end, so that nothing of it is stored there but what the audit says.

Pages that another source of the same clinic has are left out: most times the registry, which took the bundle in.
"""

import hashlib
from array import array
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.bundle_import import Imported, rehearsed, verify
from bztoken.errors import RegistryError
from bztoken.formats.bundle_file import BundleReader
from bztoken.home import Home
from bztoken.lake.adding import (
    Added,
    Asked,
    Progress,
    finish,
    known_clinic,
    require_date,
    require_exporter,
    write_source,
)
from bztoken.lake.expiry import Floors
from bztoken.lake.folder import Folder, make, written_alone
from bztoken.lake.overlaps import pages_elsewhere
from bztoken.lake.records import Kind, SourceRecord
from bztoken.lake.registry_rows import Facts, page_number, plan_days
from bztoken.lake.rewriting import settle
from bztoken.matching.tolerance import Int64s
from bztoken.registry import audit, logs, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Page, Sighting
from bzwire.page import check_page

_DIGEST_CHARACTERS = 16


def add_bundle(home: Home, bundle: Path, asked: Asked, progress: Progress) -> tuple[Added, Imported]:
    """Add one bundle of a courier of this registry. Raises as `import_bundle` does, LakeError, NotAllowed."""
    master_key = home.master_key()
    with open_registry(home) as registry, bundle.open("rb") as file:
        own_id = require_exporter(registry, asked.now_s)
        verified = verify(registry, bundle, file, progress)
        folder = Folder(asked.path)
        home.require_outside(folder.lake_file)
        make(folder)
        with written_alone(folder):
            settle(folder)
            clinic = known_clinic(folder, own_id, asked.clinic)
            _tell_audit(registry, verified.counts.pages, asked.now_s)
            record = SourceRecord(source_name(own_id, bundle), own_id, Kind.BUNDLE)
            with rehearsed(registry, master_key, BundleReader(bundle, file), verified, progress) as (session, result):
                facts = Facts.of(session, clinic.number, Floors.at(asked.now_s))
                added = _add(session, folder, record, _only(session, facts, result, bundle), asked, progress)
            return added, result


def source_name(clinic_id: str, bundle: Path) -> str:
    """By the clinic and the file's content: the same bundle is the same source again."""
    with bundle.open("rb") as file:
        return f"{clinic_id}-{hashlib.file_digest(file, 'sha256').hexdigest()[:_DIGEST_CHARACTERS]}"


def _add(
    session: Session, folder: Folder, record: SourceRecord, facts: Facts, asked: Asked, progress: Progress
) -> Added:
    """facts.only: all pages of the bundle."""
    assert facts.only is not None
    elsewhere = pages_elsewhere(folder, record.name, record.clinic_id, facts.only)
    only = {log: np.setdiff1d(pages, elsewhere[log]) for log, pages in facts.only.items()}
    facts = replace(facts, only=only)
    newest_s = session.scalar(select(func.max(Sighting.first_s)).where(Sighting.page_id >= facts.first_page_id))
    require_date(folder, newest_s, asked)
    written = write_source(session, folder, record, facts, plan_days(session, facts), progress)
    added = finish(folder, record, facts, written)
    added.left_out = sum(len(pages) for pages in elsewhere.values())
    return added


def _tell_audit(registry: Registry, pages: int, now_s: int) -> None:
    with registry.write() as session:
        detail = f"a bundle of {pages} pages into a lake"
        audit.record(session, audit.Action.EXPORT, audit.What.REGISTRY, now_s, detail=detail)


def _only(session: Session, facts: Facts, result: Imported, bundle: Path) -> Facts:
    """For the pages of the bundle. When all of them are new, they are the last rows."""
    first = 0
    if not result.pages_known:
        first = (session.scalar(select(func.max(Page.id))) or 0) - result.pages_new + 1
    return replace(facts, only=_pages_of(session, bundle), first_page_id=first)


def _pages_of(session: Session, bundle: Path) -> dict[int, Int64s]:
    """Numbers of the bundle's pages, by log."""
    found: dict[int, array[int]] = defaultdict(lambda: array("q"))
    with bundle.open("rb") as file:
        for section in BundleReader(bundle, file).sections():
            token = tokens.by_uid(session, section.uid)
            if token is None:
                raise RegistryError("the bundle holds a token that this registry does not know: nothing was added")
            headers = [check_page(raw) for raw in section.pages]
            found[logs.log_of_token(session, token).id].extend(
                int(number)
                for number in page_number(
                    np.array([header.boot_id for header in headers], dtype=np.int64),
                    np.array([header.sequence for header in headers], dtype=np.int64),
                )
            )
    return {log: np.unique(np.array(numbers, dtype=np.int64)) for log, numbers in found.items()}
