"""Life of a token: boards with their own numbers, batches of provisioning, and whose hands a token is in.

Tokens provisioned before have no board until they are spoken to again.
"""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String, UniqueConstraint, false

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns; no row is written anew."""
    op.create_table(
        "devices",
        Column("id", Integer, primary_key=True),
        Column("hardware", LargeBinary(8), nullable=False),
        Column("board", String(80), nullable=False),
        Column("added_at_s", BigInteger, nullable=False),
        UniqueConstraint("hardware", name="uq_devices_hardware"),
    )
    op.create_table(
        "device_events",
        Column("id", Integer, primary_key=True),
        Column("device_id", Integer, ForeignKey("devices.id"), nullable=False),
        Column("at_s", BigInteger, nullable=False),
        Column("event", String(20), nullable=False),
        Column("by", String(80), nullable=False),
        Column("detail", String(200), nullable=True),
    )
    op.create_table(
        "provision_batches",
        Column("id", Integer, primary_key=True),
        Column("name", String(200), nullable=False),
        Column("prefix", String(20), nullable=False),
        Column("first_number", Integer, nullable=False),
        Column("role", String(20), nullable=False),
        Column("place", String(200), nullable=True),
        Column("profile", String(20), nullable=True),
        Column("scheme", String(20), nullable=True),
        Column("started_s", BigInteger, nullable=False),
        Column("by", String(80), nullable=False),
        UniqueConstraint("name", name="uq_provision_batches_name"),
    )
    op.create_table(
        "token_issues",
        Column("id", Integer, primary_key=True),
        Column("token_id", Integer, ForeignKey("tokens.id"), nullable=False),
        Column("holder_kind", String(20), nullable=False),
        Column("holder", String(200), nullable=False),
        Column("issued_at_s", BigInteger, nullable=False),
        Column("issued_by", String(80), nullable=False),
        Column("returned_at_s", BigInteger, nullable=True),
        Column("returned_by", String(80), nullable=True),
    )
    op.create_index("ix_token_issues_token_id", "token_issues", ["token_id"])
    for name in ("device_id", "batch_id", "number"):  # SQLite adds no foreign key to a table
        op.add_column("tokens", Column(name, Integer, nullable=True))
    op.add_column("tokens", Column("place", String(200), nullable=True))
    op.add_column("tokens", Column("development", Boolean, nullable=False, server_default=false()))
