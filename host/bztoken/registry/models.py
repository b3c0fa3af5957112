"""Tables of the registry. The migrations say the same once more by hand; a test holds both against each other.

Times are unix seconds unless a name says otherwise. BigInteger where a value may pass 2^31 on another database.
"""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of all tables."""


class Token(Base):
    """A token that this registry has provisioned.

    alarm: why it is not to be trusted as it is ("clone": two devices with one identity; "rollback": it counts lower
    than it did); last_seen_s: when a station or a courier last spoke with it; device_id: the board that holds this
    identity, None while no board told its number; batch_id, number: where it was provisioned among many, and the number
    printed on it; place: the name of a site; development: its board is a developer's, whose cable leads to its keys.
    """

    __tablename__ = "tokens"
    __table_args__ = (UniqueConstraint("uid", name="uq_tokens_uid"), UniqueConstraint("label", name="uq_tokens_label"))

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[bytes] = mapped_column(LargeBinary(8))
    label: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20))
    board: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(20))
    provisioned_at_s: Mapped[int] = mapped_column(BigInteger)
    alarm: Mapped[str | None] = mapped_column(String(20))
    last_seen_s: Mapped[int | None] = mapped_column(BigInteger)
    device_id: Mapped[int | None]
    batch_id: Mapped[int | None]
    number: Mapped[int | None]
    place: Mapped[str | None] = mapped_column(String(200))
    development: Mapped[bool] = mapped_column(server_default=false(), default=False)


class Device(Base):
    """A board, whatever identity it holds now: hardware is the chip's own number (6 bytes), never on the air."""

    __tablename__ = "devices"
    __table_args__ = (UniqueConstraint("hardware", name="uq_devices_hardware"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    hardware: Mapped[bytes] = mapped_column(LargeBinary(8))
    board: Mapped[str] = mapped_column(String(80))
    added_at_s: Mapped[int] = mapped_column(BigInteger)


class DeviceEvent(Base):
    """One step of a board's life outside an identity: flashed, shipped. Who, when, what."""

    __tablename__ = "device_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))
    at_s: Mapped[int] = mapped_column(BigInteger)
    event: Mapped[str] = mapped_column(String(20))
    by: Mapped[str] = mapped_column(String(80))
    detail: Mapped[str | None] = mapped_column(String(200))


class ProvisionBatch(Base):
    """Tokens provisioned one after the other under running numbers: what is printed is prefix and number.

    first_number: no number below it is given; place: of all its sites; profile, scheme: as told to each, None: as the
    board's file says.
    """

    __tablename__ = "provision_batches"
    __table_args__ = (UniqueConstraint("name", name="uq_provision_batches_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(20))
    first_number: Mapped[int]
    role: Mapped[str] = mapped_column(String(20))
    place: Mapped[str | None] = mapped_column(String(200))
    profile: Mapped[str | None] = mapped_column(String(20))
    scheme: Mapped[str | None] = mapped_column(String(20))
    started_s: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(80))


class TokenIssue(Base):
    """A token in somebody's hands: the only place that says whose. Open while nobody has returned it.

    holder_kind: "person" or "site"; holder: the name.
    """

    __tablename__ = "token_issues"
    __table_args__ = (Index("ix_token_issues_token_id", "token_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"))
    holder_kind: Mapped[str] = mapped_column(String(20))
    holder: Mapped[str] = mapped_column(String(200))
    issued_at_s: Mapped[int] = mapped_column(BigInteger)
    issued_by: Mapped[str] = mapped_column(String(80))
    returned_at_s: Mapped[int | None] = mapped_column(BigInteger)
    returned_by: Mapped[str | None] = mapped_column(String(80))


class TokenEvent(Base):
    """One step of a token's life, or something done to it: who, when, what; never why in words of a person."""

    __tablename__ = "token_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"))
    at_s: Mapped[int] = mapped_column(BigInteger)
    event: Mapped[str] = mapped_column(String(20))
    by: Mapped[str] = mapped_column(String(80))
    detail: Mapped[str | None] = mapped_column(String(200))


class Log(Base):
    """What one device has heard: a token's pages, or one contact history of a phone.

    safe_sequence: the highest page that the token may be told to delete; written in the transaction that stores it.
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


class Courier(Base):
    """A computer without the master key that may sync tokens until a day is over.

    number: what it says of itself to a token; public_key: of the Ed25519 signature on its bundles.
    """

    __tablename__ = "couriers"
    __table_args__ = (
        UniqueConstraint("number", name="uq_couriers_number"),
        UniqueConstraint("name", name="uq_couriers_name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    number: Mapped[bytes] = mapped_column(LargeBinary(8))
    public_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    issued_at_s: Mapped[int] = mapped_column(BigInteger)
    last_day: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(20))


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


class Case(Base):
    """An infected person (F0): where the keys came from, never who it is beyond the name given."""

    __tablename__ = "cases"
    __table_args__ = (UniqueConstraint("name", name="uq_cases_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(20))
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"))
    recorded_at_s: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(20))


class CaseKey(Base):
    """One entry of a case list: a day key and the span in which its chain was on the air.

    uncertainty_s: how far the clock of the device that broadcast it may have been off; None: nothing is known.
    """

    __tablename__ = "case_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    scheme: Mapped[str] = mapped_column(String(20))
    day_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    time_start_s: Mapped[int] = mapped_column(BigInteger)
    slots_per_day: Mapped[int]
    time_end_s: Mapped[int] = mapped_column(BigInteger)
    tx_power_dbm: Mapped[int | None]
    uncertainty_s: Mapped[int | None]


class Batch(Base):
    """One run of the matching, with everything needed to repeat it."""

    __tablename__ = "batches"

    id: Mapped[int] = mapped_column(primary_key=True)
    started_s: Mapped[int] = mapped_column(BigInteger)
    finished_s: Mapped[int] = mapped_column(BigInteger)
    rule: Mapped[str] = mapped_column(String(40))
    rule_version: Mapped[int]
    tolerance_s: Mapped[int]
    days: Mapped[int]
    sightings: Mapped[int]
    exposures: Mapped[int]


class Exposure(Base):
    """A case near a device on one UTC day, as the latest batch of a rule sees it."""

    __tablename__ = "exposures"
    __table_args__ = (
        UniqueConstraint("case_id", "log_id", "day", "rule", name="uq_exposures_case_id_log_id_day_rule"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    day: Mapped[str] = mapped_column(String(10))
    rule: Mapped[str] = mapped_column(String(40))
    rule_version: Mapped[int]
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"))
    minutes: Mapped[int]
    close_minutes: Mapped[int]
    windows: Mapped[int]
    first_s: Mapped[int] = mapped_column(BigInteger)
    last_s: Mapped[int] = mapped_column(BigInteger)
    rssi_max_dbm: Mapped[int]
    rssi_mean_dbm: Mapped[float]
    attenuation_db: Mapped[float | None]
    band: Mapped[str] = mapped_column(String(20))
    verdict: Mapped[str] = mapped_column(String(20))
