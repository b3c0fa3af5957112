"""First tables: tokens, logs, pages, sightings, syncs, cases, case keys, batches, exposures."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From an empty database to the first tables."""
    _tokens_and_logs()
    _pages_and_sightings()
    _cases()
    _results()


def _tokens_and_logs() -> None:
    op.create_table(
        "tokens",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("uid", LargeBinary(8), nullable=False),
        Column("label", String(200), nullable=False),
        Column("role", String(20), nullable=False),
        Column("board", String(80), nullable=False),
        Column("state", String(20), nullable=False),
        Column("provisioned_at_s", BigInteger, nullable=False),
        UniqueConstraint("uid", name="uq_tokens_uid"),
        UniqueConstraint("label", name="uq_tokens_label"),
    )
    op.create_table(
        "logs",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("kind", String(20), nullable=False),
        Column("token_id", Integer, ForeignKey("tokens.id"), nullable=True),
        Column("label", String(200), nullable=False),
        Column("digest", LargeBinary(32), nullable=True),
        Column("imported_at_s", BigInteger, nullable=False),
        UniqueConstraint("token_id", name="uq_logs_token_id"),
        UniqueConstraint("digest", name="uq_logs_digest"),
    )
    op.create_table(
        "syncs",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("started_s", BigInteger, nullable=False),
        Column("ended_s", BigInteger, nullable=True),
        Column("clock_offset_ms", BigInteger, nullable=True),
        Column("round_trip_ms", Integer, nullable=True),
        Column("next_sequence", BigInteger, nullable=False),
        Column("pages_new", Integer, nullable=False),
        Column("pages_known", Integer, nullable=False),
        Column("damaged_sequence", BigInteger),
        Column("state", String(20), nullable=False),
    )


def _pages_and_sightings() -> None:
    op.create_table(
        "pages",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("boot_id", BigInteger, nullable=False),
        Column("uptime_ms", BigInteger, nullable=False),
        Column("window_start_s", BigInteger, nullable=False),
        Column("window_s", Integer, nullable=False),
        Column("scan_period_s", Integer, nullable=False),
        Column("clock_state", Integer, nullable=False),
        Column("lost_results", Integer, nullable=False),
        Column("crowded", Boolean, nullable=False),
        Column("raw", LargeBinary, nullable=False),
        Column("received_at_s", BigInteger, nullable=False),
        UniqueConstraint("log_id", "boot_id", "sequence", name="uq_pages_log_id_boot_id_sequence"),
    )
    op.create_table(
        "sightings",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("page_id", Integer, ForeignKey("pages.id"), nullable=True),
        Column("kind", String(20), nullable=False),
        Column("rotating_id", LargeBinary(12), nullable=False),
        Column("first_s", BigInteger, nullable=False),
        Column("last_s", BigInteger, nullable=False),
        Column("window_start_s", BigInteger, nullable=False),
        Column("packets", Integer, nullable=False),
        Column("scans", Integer, nullable=False),
        Column("scan_period_s", Integer, nullable=False),
        Column("rssi_max_dbm", Integer, nullable=False),
        Column("rssi_mean_dbm", Integer, nullable=False),
        Column("tx_power_dbm", Integer, nullable=True),
    )
    op.create_index("ix_sightings_first_s", "sightings", ["first_s"])


def _cases() -> None:
    op.create_table(
        "cases",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("name", String(200), nullable=False),
        Column("source", String(20), nullable=False),
        Column("token_id", Integer, ForeignKey("tokens.id"), nullable=True),
        Column("recorded_at_s", BigInteger, nullable=False),
        Column("state", String(20), nullable=False),
        UniqueConstraint("name", name="uq_cases_name"),
    )
    op.create_table(
        "case_keys",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("case_id", Integer, ForeignKey("cases.id"), nullable=False),
        Column("scheme", String(20), nullable=False),
        Column("day_key", LargeBinary(32), nullable=False),
        Column("time_start_s", BigInteger, nullable=False),
        Column("slots_per_day", Integer, nullable=False),
        Column("time_end_s", BigInteger, nullable=False),
        Column("tx_power_dbm", Integer, nullable=True),
    )


def _results() -> None:
    op.create_table(
        "batches",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("started_s", BigInteger, nullable=False),
        Column("finished_s", BigInteger, nullable=False),
        Column("rule", String(40), nullable=False),
        Column("rule_version", Integer, nullable=False),
        Column("tolerance_s", Integer, nullable=False),
        Column("days", Integer, nullable=False),
        Column("sightings", Integer, nullable=False),
        Column("exposures", Integer, nullable=False),
    )
    op.create_table(
        "exposures",
        Column("id", Integer, primary_key=True, nullable=False),
        Column("case_id", Integer, ForeignKey("cases.id"), nullable=False),
        Column("log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("day", String(10), nullable=False),
        Column("rule", String(40), nullable=False),
        Column("rule_version", Integer, nullable=False),
        Column("batch_id", Integer, ForeignKey("batches.id"), nullable=False),
        Column("minutes", Integer, nullable=False),
        Column("close_minutes", Integer, nullable=False),
        Column("windows", Integer, nullable=False),
        Column("first_s", BigInteger, nullable=False),
        Column("last_s", BigInteger, nullable=False),
        Column("rssi_max_dbm", Integer, nullable=False),
        Column("rssi_mean_dbm", Double, nullable=False),
        Column("attenuation_db", Double, nullable=True),
        Column("band", String(20), nullable=False),
        Column("verdict", String(20), nullable=False),
        UniqueConstraint("case_id", "log_id", "day", "rule", name="uq_exposures_case_id_log_id_day_rule"),
    )
