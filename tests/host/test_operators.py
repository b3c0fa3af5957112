"""Operators: who works here, what their role allows, and a password that five wrong guesses lock."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.case_desk import ADMIN, CHEAP, DOCTOR, STAFF, TRACER, password_file, password_of, staff
from tests.program import Program

from bztoken.errors import NotAllowed, RegistryError
from bztoken.home import Home
from bztoken.registry import audit, events, operators, permissions
from bztoken.registry.database import Registry
from bztoken.registry.models import AuditEntry, Operator
from bztoken.registry.operators import MAX_WRONG_TRIES
from bztoken.registry.permissions import Role

NOW_S = 1_800_000_000


@pytest.fixture
def staffed(home: Home, registry: Registry) -> Registry:
    staff(home)
    return registry


def tries(registry: Registry, name: str) -> int:
    with registry.read() as session:
        return operators.known(session, name).wrong_tries


def test_a_password_proves_who_somebody_is_and_is_never_stored(staffed: Registry) -> None:
    assert operators.prove(staffed, DOCTOR, password_of(DOCTOR), Role.DOCTOR, NOW_S) == DOCTOR
    assert operators.prove(staffed, f" {DOCTOR} ", password_of(DOCTOR), None, NOW_S) == DOCTOR
    with staffed.read() as session:
        for row in session.scalars(select(Operator)):
            assert row.password.startswith("$argon2id$v=19$") and password_of(row.name) not in row.password


def test_a_new_password_costs_what_rfc_9106_recommends() -> None:
    assert operators.hashed("ba con mèo đen").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_another_role_or_person_is_told_apart(staffed: Registry) -> None:
    with pytest.raises(NotAllowed, match="this is for a doctor, and this operator is a tracer"):
        operators.prove(staffed, TRACER, password_of(TRACER), Role.DOCTOR, NOW_S)
    with pytest.raises(NotAllowed, match="no operator has this name and this password"):
        operators.prove(staffed, "Nobody", password_of(TRACER), None, NOW_S)


def test_five_wrong_passwords_in_a_row_lock_even_the_right_one(staffed: Registry) -> None:
    for left in (4, 3, 2, 1):
        with pytest.raises(NotAllowed, match=f"{left} tries are left"):
            operators.prove(staffed, DOCTOR, "guess", Role.DOCTOR, NOW_S)
    with pytest.raises(NotAllowed, match="5 times in a row"):
        operators.prove(staffed, DOCTOR, "guess", Role.DOCTOR, NOW_S)
    with pytest.raises(NotAllowed, match="locked"):
        operators.prove(staffed, DOCTOR, password_of(DOCTOR), Role.DOCTOR, NOW_S)
    assert tries(staffed, DOCTOR) == MAX_WRONG_TRIES
    with staffed.write() as session:
        operators.set_password(session, DOCTOR, "another password", NOW_S, CHEAP)
    assert operators.prove(staffed, DOCTOR, "another password", Role.DOCTOR, NOW_S) == DOCTOR


def test_a_right_password_forgives_the_wrong_ones_before(staffed: Registry) -> None:
    for _ in range(MAX_WRONG_TRIES - 1):
        with pytest.raises(NotAllowed):
            operators.prove(staffed, TRACER, "guess", None, NOW_S)
    operators.prove(staffed, TRACER, password_of(TRACER), None, NOW_S)
    assert tries(staffed, TRACER) == 0


@pytest.mark.parametrize("password", ["", "short", " " * 30, "x" * 201])
def test_a_weak_or_endless_password_is_refused(registry: Registry, password: str) -> None:
    with pytest.raises(RegistryError, match="a password has at"), registry.write() as session:
        operators.add(session, ADMIN, Role.ADMIN, password, NOW_S, CHEAP)
    with registry.read() as session:
        assert operators.is_empty(session)


def test_one_password_however_a_keyboard_composes_it(registry: Registry) -> None:
    with registry.write() as session:
        operators.add(session, ADMIN, Role.ADMIN, "ba con me\u0300o \u0111en", NOW_S, CHEAP)
    assert operators.prove(registry, ADMIN, "ba con m\u00e8o \u0111en", Role.ADMIN, NOW_S) == ADMIN


def test_the_first_is_an_admin_and_the_last_admin_stays(registry: Registry, home: Home) -> None:
    with pytest.raises(RegistryError, match="first operator is an admin"), registry.write() as session:
        operators.add(session, TRACER, Role.TRACER, password_of(TRACER), NOW_S, CHEAP)
    staff(home)
    with pytest.raises(RegistryError, match="last admin"), registry.write() as session:
        operators.remove(session, ADMIN, NOW_S)
    with registry.write() as session:
        operators.add(session, "Another", Role.ADMIN, password_of(ADMIN), NOW_S, CHEAP)
        operators.remove(session, ADMIN, NOW_S)
    with pytest.raises(NotAllowed):
        operators.prove(registry, ADMIN, password_of(ADMIN), Role.ADMIN, NOW_S)


def test_a_name_is_taken_while_its_operator_works_here(staffed: Registry) -> None:
    with pytest.raises(RegistryError, match="registered already"), staffed.write() as session:
        operators.add(session, f"{TRACER} ", Role.DOCTOR, password_of(TRACER), NOW_S, CHEAP)
    with staffed.write() as session:
        operators.remove(session, TRACER, NOW_S)
        assert TRACER not in [row.name for row in operators.all_operators(session)]
        operators.add(session, TRACER, Role.DOCTOR, password_of(TRACER), NOW_S, CHEAP)
    assert operators.prove(staffed, TRACER, password_of(TRACER), Role.DOCTOR, NOW_S) == TRACER


@pytest.mark.parametrize(
    ("permission", "who"),
    [
        (permissions.RECORD_CASE, {TRACER}),
        (permissions.AUTHORISE_CASE, {DOCTOR}),
        (permissions.EXPORT_KEYS, {TRACER, ADMIN}),
        (permissions.CHOOSE_RULE, {ADMIN}),
        (permissions.MANAGE_OPERATORS, {ADMIN}),
    ],
)
def test_a_role_allows_its_own_work_only(staffed: Registry, permission: permissions.Permission, who: set[str]) -> None:
    with staffed.read() as session:
        for name in (*STAFF, "somebody"):
            with events.acting_as(name):
                if name in who:
                    permissions.require(session, permission)
                else:
                    with pytest.raises(NotAllowed, match="nothing was changed"):
                        permissions.require(session, permission)


def test_what_is_done_after_a_password_is_done_by_its_operator(staffed: Registry) -> None:
    with operators.acting(staffed, ADMIN, password_of(ADMIN), Role.ADMIN, NOW_S), staffed.write() as session:
        audit.record(session, audit.Action.LOOK, audit.What.REGISTRY, NOW_S)
    with staffed.read() as session:
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert last is not None and (last.by, last.role) == (ADMIN, "admin")
    assert events.by_now() != ADMIN


def test_operators_are_added_and_removed_by_admins(cli: Program, home: Home, tmp_path: Path) -> None:
    cli("registry", "init")
    files = {name: password_file(tmp_path, name) for name in STAFF}
    as_admin = ("--as", ADMIN, "--as-password-file", files[ADMIN])
    add = ("operator", "add", TRACER, "--role", "tracer", "--password-file", files[TRACER])
    assert "first operator is an admin" in cli(*add).err
    first = cli("operator", "add", ADMIN, "--role", "admin", "--password-file", files[ADMIN], "--json")
    assert first.document() == {"operator": ADMIN, "role": "admin"}
    assert "only an admin" in cli(*add).err
    assert "4 tries are left" in cli(*add, "--as", ADMIN, "--as-password-file", files[TRACER]).err
    assert cli(*add, *as_admin).code == 0
    assert "registered already" in cli(*add, *as_admin).err
    assert (
        "for an admin, and this operator is a tracer"
        in cli("operator", "remove", ADMIN, "--as", TRACER, "--as-password-file", files[TRACER]).err
    )
    shown = cli("operator", "list", "--json").document()["operators"]
    assert [(row["operator"], row["role"], row["locked"], row["added_by"]) for row in shown][1] == (
        ADMIN,
        "admin",
        False,
        events.by_now(),
    )
    changed = cli("operator", "password", TRACER, "--password-file", files[DOCTOR], "--as-password-file", files[TRACER])
    assert changed.code == 0, changed.err
    assert (
        "tries are left"
        in cli(
            "operator", "password", TRACER, "--password-file", files[TRACER], "--as-password-file", files[TRACER]
        ).err
    )
    assert cli("operator", "password", TRACER, "--password-file", files[TRACER], *as_admin).code == 0
    assert cli("operator", "remove", TRACER, *as_admin, "--json").document()["state"] == "removed"
    assert "no operator has this name" in cli("operator", "remove", TRACER, *as_admin).err


def test_where_nobody_can_be_asked_a_password_comes_from_a_private_file(
    cli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("registry", "init")
    ran = cli("operator", "add", ADMIN, "--role", "admin")
    assert ran.code == 1 and "nobody can be asked" in ran.err
    file = password_file(tmp_path, ADMIN)
    file.chmod(0o644)
    ran = cli("operator", "add", ADMIN, "--role", "admin", "--password-file", file)
    assert ran.code == 1 and "chmod 600" in ran.err
    file.chmod(0o600)
    assert cli("operator", "add", ADMIN, "--role", "admin", "--password-file", file).code == 0
    monkeypatch.setenv("BZTOKEN_PASSWORD_FILE", str(file))
    added = cli(
        "operator", "add", TRACER, "--role", "tracer", "--password-file", password_file(tmp_path, TRACER), "--as", ADMIN
    )
    assert added.code == 0, added.err
