"""Tables of tokens: identities, boards, batches, hands they are in, what happened to them, couriers."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from bztoken.registry.models.base import Base


class Token(Base):
    """A token that this registry has provisioned.

    alarm: why it is not to be trusted as it is ("clone": two devices with one identity; "rollback": it counts lower
    than it did); last_seen_s: when a station or a courier last spoke with it; device_id: the board that holds this
    identity, None while no board told its number; batch_id, number: where it was provisioned among many, and the number
    printed on it; place: the name of a site; development: its board is a developer's, whose cable leads to its keys;
    notice_told: it was told last to show the exposure notice.
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
    notice_told: Mapped[bool] = mapped_column(server_default=false(), default=False)


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

    holder_kind: "person" or "site", which says which of person_id and site_id is set; both None: the person was erased.
    """

    __tablename__ = "token_issues"
    __table_args__ = (
        Index("ix_token_issues_token_id", "token_id"),
        Index("ix_token_issues_person_id", "person_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"))
    holder_kind: Mapped[str] = mapped_column(String(20))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id"))
    site_id: Mapped[int | None] = mapped_column(ForeignKey("sites.id"))
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
