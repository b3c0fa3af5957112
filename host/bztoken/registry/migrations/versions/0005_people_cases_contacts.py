"""People, cases and contacts: who holds what and agreed to it, codes for cases, peers, visits, follow-up, audit.

Holders, who were names until now, become persons and sites; what is missing of them is to be asked. Exposures have one
row for a case, a device and a day, whatever rule it came from.
"""

import unicodedata
from typing import Any

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
    false,
    text,
)
from sqlalchemy.types import TypeEngine

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NEW_CASE_COLUMNS: dict[str, TypeEngine[Any] | type[TypeEngine[Any]]] = {
    "person_id": Integer,
    "report_type": String(20),
    "onset_day": String(10),
    "test_day": String(10),
    "first_day": String(10),
    "last_day": String(10),
    "recorded_by": String(80),
    "key_digest": LargeBinary(32),
    "ended_at_s": BigInteger,
    "ended_by": String(80),
    "log_id": Integer,
    "brought_log": Boolean,
}


def upgrade() -> None:
    """Add tables and columns; names of holders become rows of persons and sites."""
    _operators()
    _places()
    _persons()
    _consents_and_settings()
    _holders()
    _codes_and_ids()
    _peers()
    _visits()
    _follow_ups()
    _audit()
    _columns()
    _exposures()


def _operators() -> None:
    op.create_table(
        "operators",
        Column("id", Integer, primary_key=True),
        Column("name", String(80), nullable=False),
        Column("role", String(20), nullable=False),
        Column("password", String(200), nullable=False),
        Column("state", String(20), nullable=False),
        Column("added_at_s", BigInteger, nullable=False),
        Column("by", String(80), nullable=False),
        Column("wrong_tries", Integer, nullable=False, server_default="0"),
        UniqueConstraint("name", name="uq_operators_name"),
    )


def _places() -> None:
    """Communes first: sites and persons name them."""
    op.create_table(
        "communes",
        Column("id", Integer, primary_key=True),
        Column("name", String(200), nullable=False),
        Column("folded", String(200), nullable=False),
        Column("over60", Integer, nullable=True),
        Column("source", String(200), nullable=True),
        UniqueConstraint("name", name="uq_communes_name"),
    )
    op.create_table(
        "sites",
        Column("id", Integer, primary_key=True),
        Column("name", String(200), nullable=False),
        Column("folded", String(200), nullable=False),
        Column("kind", String(40), nullable=False),
        Column("commune_id", Integer, ForeignKey("communes.id"), nullable=True),
        Column("agency", String(200), nullable=True),
        Column("added_at_s", BigInteger, nullable=False),
        Column("by", String(80), nullable=False),
        UniqueConstraint("name", name="uq_sites_name"),
    )


def _persons() -> None:
    op.create_table(
        "persons",
        Column("id", Integer, primary_key=True),
        Column("name", String(200), nullable=False),
        Column("folded", String(200), nullable=False),
        Column("birth_year", Integer, nullable=True),
        Column("commune_id", Integer, ForeignKey("communes.id"), nullable=True),
        Column("phone", String(40), nullable=True),
        Column("phone_of", String(20), nullable=True),
        Column("carer", String(200), nullable=True),
        Column("agency", String(200), nullable=True),
        Column("state", String(20), nullable=False),
        Column("added_at_s", BigInteger, nullable=False),
        Column("by", String(80), nullable=False),
    )
    op.create_index("ix_persons_folded", "persons", ["folded"])


def _consents_and_settings() -> None:
    op.create_table(
        "consents",
        Column("id", Integer, primary_key=True),
        Column("person_id", Integer, ForeignKey("persons.id"), nullable=False),
        Column("purpose", String(40), nullable=False),
        Column("text_version", String(20), nullable=False),
        Column("language", String(5), nullable=False),
        Column("text_digest", LargeBinary(32), nullable=False),
        Column("given_on", String(10), nullable=False),
        Column("witness", String(200), nullable=False),
        Column("recorded_at_s", BigInteger, nullable=False),
        Column("by", String(80), nullable=False),
        Column("withdrawn_at_s", BigInteger, nullable=True),
        Column("withdrawn_by", String(80), nullable=True),
    )
    op.create_index("ix_consents_person_id", "consents", ["person_id"])
    op.create_table(
        "settings",
        Column("name", String(40), primary_key=True),
        Column("value", String(2000), nullable=False),
        Column("changed_at_s", BigInteger, nullable=False),
        Column("by", String(80), nullable=False),
    )


def _holders() -> None:
    """One person, or site, for each name that tokens were issued to."""
    with op.batch_alter_table("token_issues") as table:
        table.add_column(Column("person_id", Integer, nullable=True))
        table.add_column(Column("site_id", Integer, nullable=True))
    connection = op.get_bind()
    holders = connection.execute(
        text(
            "SELECT holder_kind, holder, min(issued_at_s), min(issued_by) FROM token_issues GROUP BY 1, 2 ORDER BY 3, 2"
        )
    ).all()
    for kind, name, at_s, by in holders:
        table_name, column, more = (
            ("persons", "person_id", "state") if kind == "person" else ("sites", "site_id", "kind")
        )
        added = connection.execute(
            text(
                f'INSERT INTO {table_name} (name, folded, {more}, added_at_s, "by") '
                "VALUES (:name, :folded, :more, :at_s, :by) RETURNING id"
            ),
            {
                "name": name,
                "folded": _folded(name),
                "more": "active" if kind == "person" else "other",
                "at_s": at_s,
                "by": by,
            },
        ).scalar_one()
        connection.execute(
            text(f"UPDATE token_issues SET {column} = :number WHERE holder_kind = :kind AND holder = :name"),
            {"number": added, "kind": kind, "name": name},
        )
    with op.batch_alter_table("token_issues") as table:
        table.drop_column("holder")
        table.create_foreign_key("fk_token_issues_person_id", "persons", ["person_id"], ["id"])
        table.create_foreign_key("fk_token_issues_site_id", "sites", ["site_id"], ["id"])
    op.create_index("ix_token_issues_person_id", "token_issues", ["person_id"])


def _folded(name: str) -> str:
    """As `registry/folding.py` had it when this was written."""
    plain = name.casefold().replace("đ", "d")
    letters = (letter for letter in unicodedata.normalize("NFD", plain) if not unicodedata.combining(letter))
    return " ".join("".join(letters).split())


def _codes_and_ids() -> None:
    op.create_table(
        "authorisations",
        Column("id", Integer, primary_key=True),
        Column("key_digest", LargeBinary(32), nullable=False),
        Column("salt", LargeBinary(16), nullable=False),
        Column("code_hash", LargeBinary(32), nullable=False),
        Column("drawn_by", String(80), nullable=False),
        Column("drawn_at_s", BigInteger, nullable=False),
        Column("expires_at_s", BigInteger, nullable=False),
        Column("used_at_s", BigInteger, nullable=True),
        Column("used_by", String(80), nullable=True),
        Column("case_id", Integer, nullable=True),
        Column("wrong_tries", Integer, nullable=False, server_default="0"),
    )
    op.create_index("ix_authorisations_key_digest", "authorisations", ["key_digest"])
    op.create_table(
        "case_ids",
        Column("id", Integer, primary_key=True),
        Column("case_id", Integer, ForeignKey("cases.id"), nullable=False),
        Column("rotating_id", LargeBinary(16), nullable=False),
        Column("slot_start_s", BigInteger, nullable=False),
        UniqueConstraint("case_id", "rotating_id", "slot_start_s", name="uq_case_ids"),
    )


def _peers() -> None:
    op.create_table(
        "peer_keys",
        Column("id", Integer, primary_key=True),
        Column("log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("purpose", String(20), nullable=False),
        Column("case_id", Integer, ForeignKey("cases.id"), nullable=True),
        Column("scheme", String(20), nullable=False),
        Column("day_key", LargeBinary(32), nullable=False),
        Column("time_start_s", BigInteger, nullable=False),
        Column("slots_per_day", Integer, nullable=False),
        Column("time_end_s", BigInteger, nullable=False),
        Column("tx_power_dbm", Integer, nullable=True),
        Column("uncertainty_s", Integer, nullable=True),
        Column("released_at_s", BigInteger, nullable=False),
        UniqueConstraint("log_id", "case_id", "day_key", "time_start_s", name="uq_peer_keys"),
    )
    op.create_index("ix_peer_keys_log_id", "peer_keys", ["log_id"])


def _visits() -> None:
    op.create_table(
        "visits",
        Column("id", Integer, primary_key=True),
        Column("site_log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("first_s", BigInteger, nullable=False),
        Column("last_s", BigInteger, nullable=False),
        Column("minutes", Integer, nullable=False),
        Column("windows", Integer, nullable=False),
        Column("rssi_max_dbm", Integer, nullable=False),
        Column("rssi_mean_dbm", Double, nullable=False),
        Column("rule", String(40), nullable=False),
        Column("rule_version", Integer, nullable=False),
        Column("batch_id", Integer, ForeignKey("batches.id"), nullable=False),
        UniqueConstraint("site_log_id", "log_id", "first_s", name="uq_visits_site_log_id_log_id_first_s"),
    )


def _follow_ups() -> None:
    op.create_table(
        "follow_ups",
        Column("id", Integer, primary_key=True),
        Column("case_id", Integer, ForeignKey("cases.id"), nullable=False),
        Column("log_id", Integer, ForeignKey("logs.id"), nullable=False),
        Column("degree", Integer, nullable=False),
        Column("state", String(20), nullable=False),
        Column("opened_at_s", BigInteger, nullable=False),
        Column("reached_at_s", BigInteger, nullable=True),
        Column("ended_at_s", BigInteger, nullable=True),
        Column("last_day", String(10), nullable=True),
        UniqueConstraint("case_id", "log_id", name="uq_follow_ups_case_id_log_id"),
    )
    op.create_table(
        "follow_up_events",
        Column("id", Integer, primary_key=True),
        Column("follow_up_id", Integer, ForeignKey("follow_ups.id"), nullable=False),
        Column("at_s", BigInteger, nullable=False),
        Column("step", String(20), nullable=False),
        Column("by", String(80), nullable=False),
        Column("detail", String(200), nullable=True),
    )
    op.create_index("ix_follow_up_events_follow_up_id", "follow_up_events", ["follow_up_id"])


def _audit() -> None:
    """Rows are only added; the database itself refuses anything else, as far as a database can."""
    op.create_table(
        "audit",
        Column("id", Integer, primary_key=True),
        Column("at_s", BigInteger, nullable=False),
        Column("by", String(80), nullable=False),
        Column("role", String(20), nullable=False),
        Column("action", String(20), nullable=False),
        Column("what", String(20), nullable=False),
        Column("number", BigInteger, nullable=True),
        Column("detail", String(200), nullable=True),
        Column("previous", LargeBinary(32), nullable=False),
        Column("digest", LargeBinary(32), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'rows of the audit are never changed'); END"
            )


def _columns() -> None:
    """SQLite adds no foreign key to a table, so person_id is a plain number here."""
    op.add_column("logs", Column("person_id", Integer, nullable=True))
    op.add_column("tokens", Column("notice_told", Boolean, nullable=False, server_default=false()))
    for name, kind in _NEW_CASE_COLUMNS.items():
        op.add_column("cases", Column(name, kind, nullable=True))
    for name in ("report_type", "days_since_onset"):
        op.add_column("case_keys", Column(name, Integer, nullable=True))
    op.create_index("ix_case_keys_case_id", "case_keys", ["case_id"])
    for name in ("second_contacts", "visits"):
        op.add_column("batches", Column(name, Integer, nullable=False, server_default="0"))


def _exposures() -> None:
    with op.batch_alter_table("exposures") as table:
        table.drop_constraint("uq_exposures_case_id_log_id_day_rule", type_="unique")
        table.add_column(Column("via_log_id", Integer, nullable=False, server_default="0"))
        table.add_column(Column("attenuation_off_db", Double, nullable=True))
        table.add_column(Column("nearest", String(20), nullable=True))
        table.add_column(Column("farthest", String(20), nullable=True))
        table.create_unique_constraint(
            "uq_exposures_case_id_via_log_id_log_id_day", ["case_id", "via_log_id", "log_id", "day"]
        )
