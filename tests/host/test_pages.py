"""Log pages enter the registry exactly once, in the caller's transaction, or not at all."""

import json
from binascii import crc32
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bztoken.errors import PageConflict, PageDamaged
from bztoken.registry import tokens
from bztoken.registry.database import Registry
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Log, Page, Sighting
from bztoken.registry.pages import import_page, next_sequence
from bztoken.registry.tokens import token_keys
from bzwire import keys
from bzwire.page import (
    KIND_GAEN,
    RECORD_CONNECTED,
    RECORD_STALE,
    STATE_SAVING,
    STATE_WINDOWED,
    Record,
    split_pages,
)

UID = b"\x07" * 8
FIRST_LOG_KEY = token_keys(b"m" * 32, UID).first_log_key
START_S = 1_596_844_800
UPGRADE = Path(__file__).parent.parent / "upgrade"

MakePage = Callable[..., bytes]
MakeRecord = Callable[..., Record]


@pytest.fixture
def log_id(registry: Registry) -> int:
    with registry.write() as session:
        return log_of_token(session, tokens.create(session, "T1", UID, "person", "virtual", 1)).id


def take(registry: Registry, log_id: int, raw: bytes, key: bytes = FIRST_LOG_KEY) -> bool:
    with registry.write() as session:
        return import_page(session, session.get_one(Log, log_id), raw, key, 99)


def counts(registry: Registry) -> tuple[int, int]:
    with registry.read() as session:
        pages = session.scalar(select(func.count(Page.id)))
        return pages or 0, session.scalar(select(func.count(Sighting.id))) or 0


def test_header_and_records_are_stored_in_absolute_time(
    registry: Registry, log_id: int, make_page: MakePage, make_record: MakeRecord
) -> None:
    record = make_record(b"k" * 32, 3, scans=4, rssi_mean_dbm=-66, tx_power_dbm=127, first_s=17)
    raw = make_page(FIRST_LOG_KEY, [record], sequence=5, boot_id=0xFFFFFFFF, window_start_s=START_S)
    assert take(registry, log_id, raw) is True
    with registry.read() as session:
        page, sighting = session.scalars(select(Page)).one(), session.scalars(select(Sighting)).one()
        assert (page.sequence, page.boot_id, page.window_start_s, page.raw) == (5, 0xFFFFFFFF, START_S, raw)
        assert (page.received_at_s, page.window_s, page.scan_period_s, page.crowded) == (99, 300, 60, False)
        assert (sighting.page_id, sighting.log_id, sighting.rotating_id) == (page.id, log_id, record.rotating_id)
        assert (sighting.first_s, sighting.last_s) == (START_S + 17, START_S + 257)
        assert (sighting.window_start_s, sighting.scans, sighting.packets) == (START_S, 4, 12)
        assert (sighting.rssi_max_dbm, sighting.rssi_mean_dbm, sighting.tx_power_dbm) == (-62, -66, None)


def test_what_version_2_tells_is_stored(registry: Registry, log_id: int, make_page: MakePage) -> None:
    rpi, aem = bytes(range(16)), b"\xaa\xbb\xcc\xdd"
    measured = (5, 200, 9, 3, -72, -80, 127)
    records = [
        Record(rpi + aem, *measured, KIND_GAEN),
        Record(bytes(12), *measured),
        Record(bytes(12), *measured, flags=RECORD_STALE),
        Record(rpi + aem, *measured, KIND_GAEN, RECORD_STALE | RECORD_CONNECTED),
    ]
    take(registry, log_id, make_page(FIRST_LOG_KEY, records, listened_ds=70, state=STATE_WINDOWED | STATE_SAVING))
    with registry.read() as session:
        page = session.scalars(select(Page)).one()
        found = session.scalars(select(Sighting).order_by(Sighting.id)).all()
        assert (page.version, page.listened_ds, page.page_state) == (2, 70, 3)
        assert [(row.kind, row.rotating_id, row.aem) for row in found] == [
            ("gaen", rpi, aem),
            ("bluezone", bytes(12), None),
            ("bluezone", bytes(12), None),
            ("gaen", rpi, aem),
        ]
        assert [(row.stale, row.connected) for row in found] == [
            (False, False),
            (False, False),
            (True, False),
            (True, True),
        ]
        assert {row.tx_power_dbm for row in found} == {None}


def test_a_page_of_version_1_is_stored_as_one(registry: Registry, log_id: int) -> None:
    golden = json.loads((UPGRADE / "log-v1.json").read_text())
    for raw in split_pages((UPGRADE / "log-v1.bzl").read_bytes()):
        assert take(registry, log_id, bytes(raw), bytes.fromhex(golden["first_log_key"]))
    with registry.read() as session:
        pages = session.scalars(select(Page)).all()
        assert {(page.version, page.listened_ds, page.page_state) for page in pages} == {(1, None, None)}
        assert [page.sequence for page in pages] == [page["header"]["sequence"] for page in golden["pages"]]
        rows = session.scalars(select(Sighting)).all()
        assert {(row.kind, row.aem, row.stale, row.connected) for row in rows} == {("bluezone", None, False, False)}
        assert len(rows) == sum(len(page["records"]) for page in golden["pages"])


def test_the_same_page_is_imported_once(
    registry: Registry, log_id: int, make_page: MakePage, make_record: MakeRecord
) -> None:
    raw = make_page(FIRST_LOG_KEY, [make_record(b"k" * 32, slot) for slot in range(3)])
    assert [take(registry, log_id, raw) for _ in range(3)] == [True, False, False]
    assert counts(registry) == (1, 3)


def test_a_page_without_records_is_a_page(registry: Registry, log_id: int, make_page: MakePage) -> None:
    assert take(registry, log_id, make_page(FIRST_LOG_KEY, []))
    assert counts(registry) == (1, 0)


def test_the_same_number_after_another_boot_is_another_page(
    registry: Registry, log_id: int, make_page: MakePage
) -> None:
    assert take(registry, log_id, make_page(FIRST_LOG_KEY, [], boot_id=1))
    assert take(registry, log_id, make_page(FIRST_LOG_KEY, [], boot_id=2))


def test_a_known_number_with_other_content_is_never_taken_for_known(
    registry: Registry, log_id: int, make_page: MakePage, make_record: MakeRecord
) -> None:
    assert take(registry, log_id, make_page(FIRST_LOG_KEY, []))
    with pytest.raises(PageConflict, match="page 0 .*nothing was acknowledged"):
        take(registry, log_id, make_page(FIRST_LOG_KEY, [make_record(b"k" * 32, 1)]))
    assert counts(registry) == (1, 0)


def test_every_flipped_bit_and_every_truncation_is_damage(
    registry: Registry, log_id: int, make_page: MakePage, make_record: MakeRecord
) -> None:
    raw = make_page(FIRST_LOG_KEY, [make_record(b"k" * 32, 1)])
    with registry.read() as session:
        log = session.get_one(Log, log_id)
        for bit in range(len(raw) * 8):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(PageDamaged, match="acknowledged"):
                import_page(session, log, bytes(flipped), FIRST_LOG_KEY, 99)
        for length in range(len(raw)):
            with pytest.raises(PageDamaged):
                import_page(session, log, raw[:length], FIRST_LOG_KEY, 99)
    assert counts(registry) == (0, 0)


def test_another_tokens_page_is_refused(registry: Registry, log_id: int, make_page: MakePage) -> None:
    foreign = make_page(token_keys(b"m" * 32, b"\x08" * 8).first_log_key, [], sequence=12)
    with pytest.raises(PageDamaged, match="page 12 does not open"):
        take(registry, log_id, foreign)
    assert counts(registry) == (0, 0)


def test_the_ratchet_is_followed_forward_back_and_bounded(registry: Registry, log_id: int, make_page: MakePage) -> None:
    for sequence, number in enumerate((0, 400, 3, 400)):
        assert take(registry, log_id, make_page(FIRST_LOG_KEY, [], sequence=sequence, log_key_number=number))
    forged = bytearray(make_page(FIRST_LOG_KEY, []))
    forged[28:32] = (keys.MAX_RATCHET_STEPS + 1).to_bytes(4, "little")
    forged[-4:] = crc32(forged[:-4]).to_bytes(4, "little")
    with pytest.raises(PageDamaged, match="log key number out of range"):
        take(registry, log_id, bytes(forged))


def test_next_sequence_follows_the_highest_page(registry: Registry, log_id: int, make_page: MakePage) -> None:
    def following() -> int:
        with registry.read() as session:
            return next_sequence(session, session.get_one(Log, log_id))

    assert following() == 0
    take(registry, log_id, make_page(FIRST_LOG_KEY, [], sequence=4))
    take(registry, log_id, make_page(FIRST_LOG_KEY, [], sequence=2))
    assert following() == 5


def test_a_crash_before_the_commit_leaves_no_page(
    registry: Registry, log_id: int, make_page: MakePage, make_record: MakeRecord
) -> None:
    raw = make_page(FIRST_LOG_KEY, [make_record(b"k" * 32, 1)])
    with pytest.raises(InterruptedError), registry.write() as session:
        assert import_page(session, session.get_one(Log, log_id), raw, FIRST_LOG_KEY, 99)
        raise InterruptedError
    assert counts(registry) == (0, 0)
    assert take(registry, log_id, raw) is True


def test_a_page_is_read_from_the_front_of_a_longer_buffer(registry: Registry, log_id: int, make_page: MakePage) -> None:
    raw = make_page(FIRST_LOG_KEY, [])
    assert take(registry, log_id, raw + b"next page") is True
    assert take(registry, log_id, raw) is False
