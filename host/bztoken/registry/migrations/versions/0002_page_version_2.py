"""What version 2 of the page format tells: GAEN sightings, replayed and connected ones, how long a token listened.

Pages stored before are of version 1; their sightings were neither marked as replayed nor read over a connection.
"""

from alembic import op
from sqlalchemy import Boolean, Column, Integer, LargeBinary, false

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns; no row is written anew."""
    op.add_column("pages", Column("version", Integer, nullable=False, server_default="1"))
    op.add_column("pages", Column("listened_ds", Integer, nullable=True))
    op.add_column("pages", Column("page_state", Integer, nullable=True))
    op.add_column("sightings", Column("aem", LargeBinary(4), nullable=True))
    op.add_column("sightings", Column("stale", Boolean, nullable=False, server_default=false()))
    op.add_column("sightings", Column("connected", Boolean, nullable=False, server_default=false()))
