"""Tables of what devices heard: logs, pages, sightings, readings of clocks, syncs."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from bztoken.registry.models.base import Base


class Log(Base):
    """What one device has heard: a token's pages, or one contact history of a phone.

    safe_sequence: the highest page that the token may be told to delete; written in the transaction that stores it.
    person_id: of persons, whose phone it is; of a token, its issues say who holds it.
    """

    __tablename__ = "logs"
    __table_args__ = (
        UniqueConstraint("token_id", name="uq_logs_token_id"),
        UniqueConstraint("digest", name="uq_logs_digest"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"))
    label: Mapped[str] = mapped_column(String(200))
    digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    imported_at_s: Mapped[int] = mapped_column(BigInteger)
    safe_sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    person_id: Mapped[int | None]


class ClockPoint(Base):
    """What one token's clock said at one moment of true time, and whether it was set then.

    at_ms: true time (unix ms) in the middle of the question's round trip; uncertainty_ms: half of that round trip;
    clock_ms: what the token said, None while its clock was not set; boot_id, uptime_ms: of the token then;
    next_sequence: the first page that it wrote after this moment; was_set: its clock was set to the true time then.
    """

    __tablename__ = "clock_points"
    __table_args__ = (UniqueConstraint("log_id", "at_ms", name="uq_clock_points_log_id_at_ms"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    at_ms: Mapped[int] = mapped_column(BigInteger)
    uncertainty_ms: Mapped[int] = mapped_column(BigInteger)
    clock_ms: Mapped[int | None] = mapped_column(BigInteger)
    boot_id: Mapped[int] = mapped_column(BigInteger)
    uptime_ms: Mapped[int] = mapped_column(BigInteger)
    next_sequence: Mapped[int] = mapped_column(BigInteger)
    was_set: Mapped[bool]
    drift_bound_ppm: Mapped[int]


class Page(Base):
    """A log page as it came from the token, with the header spelled out.

    version: of the page format, 1 for pages stored before there were others. listened_ds: tenths of a second for which
    the radio listened; page_state: STATE_ bits of bzwire.page; both None where version 1 did not tell them. Times are
    as the token's clock had them; shift_ms: clock minus true time at the window's start, uncertainty_ms: how far that
    may be off; both None while nothing is known of the clock. bundled: on a courier's computer, a bundle holds it.
    """

    __tablename__ = "pages"
    __table_args__ = (UniqueConstraint("log_id", "boot_id", "sequence", name="uq_pages_log_id_boot_id_sequence"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    sequence: Mapped[int] = mapped_column(BigInteger)
    boot_id: Mapped[int] = mapped_column(BigInteger)
    uptime_ms: Mapped[int] = mapped_column(BigInteger)
    window_start_s: Mapped[int] = mapped_column(BigInteger)
    window_s: Mapped[int]
    scan_period_s: Mapped[int]
    clock_state: Mapped[int]
    lost_results: Mapped[int]
    crowded: Mapped[bool]
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    received_at_s: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(server_default="1")
    listened_ds: Mapped[int | None]
    page_state: Mapped[int | None]
    shift_ms: Mapped[int | None] = mapped_column(BigInteger)
    uncertainty_ms: Mapped[int | None] = mapped_column(BigInteger)
    bundled: Mapped[bool] = mapped_column(server_default=false())


class Sighting(Base):
    """One ID heard in one window (token), or one line of a contact history (phone: packets 1, scan_period_s 0).

    rotating_id: 12 bytes of Bluezone, or a 16-byte RPI of GAEN, whose metadata is in aem. stale: heard for longer than
    an ID lives, so somebody replays it; connected: read over a connection, from an iPhone. Times are true times as far
    as the device's clock is known, to uncertainty_s; None: nothing is known of its clock.
    """

    __tablename__ = "sightings"
    __table_args__ = (Index("ix_sightings_first_s", "first_s"), Index("ix_sightings_page_id", "page_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    page_id: Mapped[int | None] = mapped_column(ForeignKey("pages.id"))
    kind: Mapped[str] = mapped_column(String(20))
    rotating_id: Mapped[bytes] = mapped_column(LargeBinary(16))
    first_s: Mapped[int] = mapped_column(BigInteger)
    last_s: Mapped[int] = mapped_column(BigInteger)
    window_start_s: Mapped[int] = mapped_column(BigInteger)
    packets: Mapped[int]
    scans: Mapped[int]
    scan_period_s: Mapped[int]
    rssi_max_dbm: Mapped[int]
    rssi_mean_dbm: Mapped[int]
    tx_power_dbm: Mapped[int | None]
    aem: Mapped[bytes | None] = mapped_column(LargeBinary(4))
    stale: Mapped[bool] = mapped_column(server_default=false())
    connected: Mapped[bool] = mapped_column(server_default=false())
    uncertainty_s: Mapped[int | None]


class Sync(Base):
    """One cable connection with a token, and how the token was then; courier_id: when a courier made it.

    The fields from boot_id on are what the token said of itself (SPEC.md "Status"), None where it did not.
    """

    __tablename__ = "syncs"

    id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    started_s: Mapped[int] = mapped_column(BigInteger)
    ended_s: Mapped[int | None] = mapped_column(BigInteger)
    clock_offset_ms: Mapped[int | None] = mapped_column(BigInteger)
    round_trip_ms: Mapped[int | None]
    next_sequence: Mapped[int] = mapped_column(BigInteger)
    pages_new: Mapped[int]
    pages_known: Mapped[int]
    damaged_sequence: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(20))
    courier_id: Mapped[int | None]  # of couriers; a foreign key cannot be added to a table that is there
    firmware: Mapped[str | None] = mapped_column(String(20))
    boot_id: Mapped[int | None] = mapped_column(BigInteger)
    uptime_ms: Mapped[int | None] = mapped_column(BigInteger)
    battery_mv: Mapped[int | None]
    battery_state: Mapped[int | None]
    flash_bytes: Mapped[int | None] = mapped_column(BigInteger)
    flash_free_bytes: Mapped[int | None] = mapped_column(BigInteger)
    lost_results: Mapped[int | None] = mapped_column(BigInteger)
    drift_ppm: Mapped[int | None]
