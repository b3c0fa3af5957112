"""Tables of tracing: cases and their keys, codes that allow them, peers, batches, and what follows from all that."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bztoken.registry.models.base import Base


class Case(Base):
    """An infected person (F0): where the keys came from, and when that person may have infected others.

    state: draft (not authorised yet), active, withdrawn; person_id: of persons, where it is known who it is;
    report_type: why it is a case (`cases.REPORT_TYPES`); onset_day, test_day, first_day, last_day: ISO days, the last
    two of the infectious window, to which the keys were limited; None in cases of older versions; key_digest: of the
    keys, what a code is drawn for; ended_at_s: when it was withdrawn; log_id: of the phone whose history it came from;
    brought_log: that history came here with this case, and goes with it.
    """

    __tablename__ = "cases"
    __table_args__ = (UniqueConstraint("name", name="uq_cases_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(20))
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"))
    recorded_at_s: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(20))
    person_id: Mapped[int | None]
    report_type: Mapped[str | None] = mapped_column(String(20))
    onset_day: Mapped[str | None] = mapped_column(String(10))
    test_day: Mapped[str | None] = mapped_column(String(10))
    first_day: Mapped[str | None] = mapped_column(String(10))
    last_day: Mapped[str | None] = mapped_column(String(10))
    recorded_by: Mapped[str | None] = mapped_column(String(80))
    key_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    ended_at_s: Mapped[int | None] = mapped_column(BigInteger)
    ended_by: Mapped[str | None] = mapped_column(String(80))
    log_id: Mapped[int | None]
    brought_log: Mapped[bool | None]


class CaseKey(Base):
    """A key and the span in which it was on the air: of Bluezone, the first day key of a chain and its slots a day; of
    GAEN, a TEK and its rolling period (slots of 600 s).

    uncertainty_s: how far the clock of the device that broadcast it may have been off; None: nothing is known.
    report_type, days_since_onset: of GAEN, as its export said.
    """

    __tablename__ = "case_keys"
    __table_args__ = (Index("ix_case_keys_case_id", "case_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    scheme: Mapped[str] = mapped_column(String(20))
    day_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    time_start_s: Mapped[int] = mapped_column(BigInteger)
    slots_per_day: Mapped[int]
    time_end_s: Mapped[int] = mapped_column(BigInteger)
    tx_power_dbm: Mapped[int | None]
    uncertainty_s: Mapped[int | None]
    report_type: Mapped[int | None]
    days_since_onset: Mapped[int | None]


class CaseId(Base):
    """An ID that a case's phone had on the air, as its history says: there the key is not known, only its IDs are."""

    __tablename__ = "case_ids"
    __table_args__ = (UniqueConstraint("case_id", "rotating_id", "slot_start_s", name="uq_case_ids"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    rotating_id: Mapped[bytes] = mapped_column(LargeBinary(16))
    slot_start_s: Mapped[int] = mapped_column(BigInteger)


class Authorisation(Base):
    """A code that a doctor drew for keys with this digest; it serves once. code_hash: of salt and code.

    wrong_tries: other codes that were given for these keys meanwhile; too many end it.
    """

    __tablename__ = "authorisations"
    __table_args__ = (Index("ix_authorisations_key_digest", "key_digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    drawn_by: Mapped[str] = mapped_column(String(80))
    drawn_at_s: Mapped[int] = mapped_column(BigInteger)
    expires_at_s: Mapped[int] = mapped_column(BigInteger)
    used_at_s: Mapped[int | None] = mapped_column(BigInteger)
    used_by: Mapped[str | None] = mapped_column(String(80))
    case_id: Mapped[int | None]
    wrong_tries: Mapped[int] = mapped_column(server_default="0", default=0)


class PeerKey(Base):
    """A key of a device that is no case: of a site's token (purpose "site"), or of an F1's, who released it so that F2
    can be found (purpose "contact", with the case it was asked for). The other columns as in CaseKey.
    """

    __tablename__ = "peer_keys"
    __table_args__ = (
        UniqueConstraint("log_id", "case_id", "day_key", "time_start_s", name="uq_peer_keys"),
        Index("ix_peer_keys_log_id", "log_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    purpose: Mapped[str] = mapped_column(String(20))
    case_id: Mapped[int | None] = mapped_column(ForeignKey("cases.id"))
    scheme: Mapped[str] = mapped_column(String(20))
    day_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    time_start_s: Mapped[int] = mapped_column(BigInteger)
    slots_per_day: Mapped[int]
    time_end_s: Mapped[int] = mapped_column(BigInteger)
    tx_power_dbm: Mapped[int | None]
    uncertainty_s: Mapped[int | None]
    released_at_s: Mapped[int] = mapped_column(BigInteger)


class Batch(Base):
    """One run of the matching, with everything needed to repeat it. exposures, second_contacts (of these, found through
    an F1), visits: how many rows there were after it.
    """

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
    second_contacts: Mapped[int] = mapped_column(server_default="0", default=0)
    visits: Mapped[int] = mapped_column(server_default="0", default=0)


class MatchedDay(Base):
    """What the matching of a UTC day (its number since 1970) found, kept until the batch is whole.

    mark: of everything that it rests on; found: `matching.found` in bytes.
    """

    __tablename__ = "matched_days"
    __table_args__ = (UniqueConstraint("day", name="uq_matched_days_day"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[int]
    mark: Mapped[bytes] = mapped_column(LargeBinary(32))
    found: Mapped[bytes] = mapped_column(LargeBinary)
    matched_at_s: Mapped[int] = mapped_column(BigInteger)


class Exposure(Base):
    """A device near a case, or near an F1 of it, on one UTC day, as the latest batch sees it; RSSI is corrected by the
    board that heard it.

    via_log_id: the log of the F1 whose keys were met (then this is about an F2), 0 for the case itself.
    attenuation_off_db: one sigma; nearest, farthest: the bands within it.
    """

    __tablename__ = "exposures"
    __table_args__ = (
        UniqueConstraint("case_id", "via_log_id", "log_id", "day", name="uq_exposures_case_id_via_log_id_log_id_day"),
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
    via_log_id: Mapped[int] = mapped_column(server_default="0", default=0)
    attenuation_off_db: Mapped[float | None]
    nearest: Mapped[str | None] = mapped_column(String(20))
    farthest: Mapped[str | None] = mapped_column(String(20))


class Visit(Base):
    """A stay of a device near a site's token without a long break, as the latest batch sees it."""

    __tablename__ = "visits"
    __table_args__ = (
        UniqueConstraint("site_log_id", "log_id", "first_s", name="uq_visits_site_log_id_log_id_first_s"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    site_log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    first_s: Mapped[int] = mapped_column(BigInteger)
    last_s: Mapped[int] = mapped_column(BigInteger)
    minutes: Mapped[int]
    windows: Mapped[int]
    rssi_max_dbm: Mapped[int]
    rssi_mean_dbm: Mapped[float]
    rule: Mapped[str] = mapped_column(String(40))
    rule_version: Mapped[int]
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"))


class FollowUp(Base):
    """What there is to do about one contact of one case: degree 1 for an F1, 2 for an F2.

    state: open, reached, advised, tested, closed; withdrawn when the case was. last_day: the last UTC day of contact;
    once what was heard then has been deleted for its age, that nothing is found any more means nothing.
    """

    __tablename__ = "follow_ups"
    __table_args__ = (UniqueConstraint("case_id", "log_id", name="uq_follow_ups_case_id_log_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    log_id: Mapped[int] = mapped_column(ForeignKey("logs.id"))
    degree: Mapped[int]
    state: Mapped[str] = mapped_column(String(20))
    opened_at_s: Mapped[int] = mapped_column(BigInteger)
    reached_at_s: Mapped[int | None] = mapped_column(BigInteger)
    ended_at_s: Mapped[int | None] = mapped_column(BigInteger)
    last_day: Mapped[str | None] = mapped_column(String(10))


class FollowUpEvent(Base):
    """One step with a contact: called, reached, advised, tested, closed, reopened; detail: words of this program."""

    __tablename__ = "follow_up_events"
    __table_args__ = (Index("ix_follow_up_events_follow_up_id", "follow_up_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    follow_up_id: Mapped[int] = mapped_column(ForeignKey("follow_ups.id"))
    at_s: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[str] = mapped_column(String(20))
    by: Mapped[str] = mapped_column(String(80))
    detail: Mapped[str | None] = mapped_column(String(200))
