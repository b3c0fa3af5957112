"""Tables of people: who works here, where people live, who holds a token and agreed to it, the places with tokens."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bztoken.registry.models.base import Base


class Operator(Base):
    """Somebody who works with this registry under a role; password: an Argon2id string (PHC), never the password.

    wrong_tries: passwords in a row that were wrong.
    """

    __tablename__ = "operators"
    __table_args__ = (UniqueConstraint("name", name="uq_operators_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[str] = mapped_column(String(20))
    password: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(20))
    added_at_s: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(80))
    wrong_tries: Mapped[int] = mapped_column(server_default="0", default=0)


class Setting(Base):
    """What somebody chose for this registry as a whole, or what it remembers of itself."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(2000))
    changed_at_s: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(80))


class Commune(Base):
    """Where people live. folded: as it is searched, without accents; over60: how many people of 60 and more live there,
    None while nobody said; source: who says so.
    """

    __tablename__ = "communes"
    __table_args__ = (UniqueConstraint("name", name="uq_communes_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    folded: Mapped[str] = mapped_column(String(200))
    over60: Mapped[int | None]
    source: Mapped[str | None] = mapped_column(String(200))


class Site(Base):
    """A place with a token at its door: kind is one of `sites.KINDS`; agency: the unit that answers for it."""

    __tablename__ = "sites"
    __table_args__ = (UniqueConstraint("name", name="uq_sites_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    folded: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(40))
    commune_id: Mapped[int | None] = mapped_column(ForeignKey("communes.id"))
    agency: Mapped[str | None] = mapped_column(String(200))
    added_at_s: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(80))


class Person(Base):
    """Somebody who holds a token, whose phone's history is here, or who is a case.

    folded: the name as it is searched; birth_year, commune_id: None for holders taken over from an older registry until
    somebody asks them; phone_of: "person" or "carer", whose name is in carer; agency: the unit through which they came;
    state: "active", or "withdrawn" once they no longer agree.
    """

    __tablename__ = "persons"
    __table_args__ = (Index("ix_persons_folded", "folded"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    folded: Mapped[str] = mapped_column(String(200))
    birth_year: Mapped[int | None]
    commune_id: Mapped[int | None] = mapped_column(ForeignKey("communes.id"))
    phone: Mapped[str | None] = mapped_column(String(40))
    phone_of: Mapped[str | None] = mapped_column(String(20))
    carer: Mapped[str | None] = mapped_column(String(200))
    agency: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(20))
    added_at_s: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(80))


class Consent(Base):
    """A person agreed to a text: which version and language of it (digest: SHA-256 of the words), on which day, before
    which witness. Open until withdrawn_at_s.
    """

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_person_id", "person_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id"))
    purpose: Mapped[str] = mapped_column(String(40))
    text_version: Mapped[str] = mapped_column(String(20))
    language: Mapped[str] = mapped_column(String(5))
    text_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    given_on: Mapped[str] = mapped_column(String(10))
    witness: Mapped[str] = mapped_column(String(200))
    recorded_at_s: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(80))
    withdrawn_at_s: Mapped[int | None] = mapped_column(BigInteger)
    withdrawn_by: Mapped[str | None] = mapped_column(String(80))
