"""The table of looks and changes: rows are only added, each holds the digest of the one before (`registry/audit`)."""

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from bztoken.registry.models.base import Base


class AuditEntry(Base):
    """Who did what to which row, and when; number: the row's id, never a name; detail: words of this program."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at_s: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(80))
    role: Mapped[str] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(20))
    what: Mapped[str] = mapped_column(String(20))
    number: Mapped[int | None] = mapped_column(BigInteger)
    detail: Mapped[str | None] = mapped_column(String(200))
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
