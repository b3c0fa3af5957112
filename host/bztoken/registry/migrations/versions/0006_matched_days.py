"""What a batch that was stopped had found, by day, so that the next one goes on from there."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, UniqueConstraint

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "matched_days",
        Column("id", Integer, primary_key=True),
        Column("day", Integer, nullable=False),
        Column("mark", LargeBinary(32), nullable=False),
        Column("found", LargeBinary, nullable=False),
        Column("matched_at_s", BigInteger, nullable=False),
        UniqueConstraint("day", name="uq_matched_days_day"),
    )
