"""Care of tokens: what their clocks said when, how they were at each sync, what was done to them, and couriers.

Sightings stored before keep the times of the token's clock, of which nothing is known: they have no uncertainty.
"""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String, UniqueConstraint, false

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns; no row is written anew."""
    _tables()
    op.add_column("tokens", Column("alarm", String(20), nullable=True))
    op.add_column("tokens", Column("last_seen_s", BigInteger, nullable=True))
    op.add_column("logs", Column("safe_sequence", BigInteger, nullable=False, server_default="0"))
    op.add_column("pages", Column("shift_ms", BigInteger, nullable=True))
    op.add_column("pages", Column("uncertainty_ms", BigInteger, nullable=True))
    op.add_column("pages", Column("bundled", Boolean, nullable=False, server_default=false()))
    op.add_column("sightings", Column("uncertainty_s", Integer, nullable=True))
    op.create_index("ix_sightings_page_id", "sightings", ["page_id"])
    op.add_column("case_keys", Column("uncertainty_s", Integer, nullable=True))
    op.add_column("syncs", Column("courier_id", Integer, nullable=True))  # SQLite adds no foreign key to a table
    op.add_column("syncs", Column("firmware", String(20), nullable=True))
    for name in ("boot_id", "uptime_ms", "flash_bytes", "flash_free_bytes", "lost_results"):
        op.add_column("syncs", Column(name, BigInteger, nullable=True))
    for name in ("battery_mv", "battery_state", "drift_ppm"):
        op.add_column("syncs", Column(name, Integer, nullable=True))


def _tables() -> None:
    op.create_table(
        "token_events",
        Column("id", Integer, primary_key=True),
        Column("token_id", Integer, ForeignKey("tokens.id"), nullable=False),
        Column("at_s", BigInteger, nullable=False),
        Column("event", String(20), nullable=False),
        Column("by", String(80), nullable=False),
        Column("detail", String(200), nullable=True),
    )
    op.create_table(
        "clock_points",
        Column("id", Integer, primary_key=True),
        Column("log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("at_ms", BigInteger, nullable=False),
        Column("uncertainty_ms", BigInteger, nullable=False),
        Column("clock_ms", BigInteger, nullable=True),
        Column("boot_id", BigInteger, nullable=False),
        Column("uptime_ms", BigInteger, nullable=False),
        Column("next_sequence", BigInteger, nullable=False),
        Column("was_set", Boolean, nullable=False),
        Column("drift_bound_ppm", Integer, nullable=False),
        UniqueConstraint("log_id", "at_ms", name="uq_clock_points_log_id_at_ms"),
    )
    op.create_table(
        "couriers",
        Column("id", Integer, primary_key=True),
        Column("name", String(200), nullable=False),
        Column("number", LargeBinary(8), nullable=False),
        Column("public_key", LargeBinary(32), nullable=False),
        Column("issued_at_s", BigInteger, nullable=False),
        Column("last_day", String(10), nullable=False),
        Column("state", String(20), nullable=False),
        UniqueConstraint("number", name="uq_couriers_number"),
        UniqueConstraint("name", name="uq_couriers_name"),
    )
