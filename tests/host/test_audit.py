"""The audit is a chain: every byte that is edited, every entry that is missing or moved, is found and named."""

from contextlib import closing

import pytest
from tests.program import Program

from bztoken.home import Home
from bztoken.registry import audit, audit_check, audit_head
from bztoken.registry.audit import Action, What
from bztoken.registry.connecting import connect
from bztoken.registry.database import Registry, open_registry

ENTRIES = 6
COLUMNS = ("at_s", "by", "role", "action", "what", "number", "detail", "previous", "digest")


def write(registry: Registry, count: int = ENTRIES) -> None:
    for number in range(count):
        with registry.write() as session:
            audit.record(session, Action.LOOK, What.PERSON, 1_000 + number, number, f"look {number}")


def faults(home: Home) -> list[str]:
    with open_registry(home) as registry, registry.read() as session:
        return audit_check.verify(home, session).faults


def edit(home: Home, *statements: str) -> None:
    """As somebody would who has the key and no use for our program."""
    with closing(connect(home.registry_path, home.registry_key())) as connection:
        for name in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS audit_no_{name}")
        for statement in statements:
            connection.execute(statement)


def test_a_chain_that_nobody_touched_is_whole(home: Home, registry: Registry) -> None:
    write(registry)
    with registry.read() as session:
        found = audit_check.verify(home, session)
    assert (found.faults, found.entries) == ([], ENTRIES)
    assert found.anchor == found.head


@pytest.mark.parametrize("number", [1, 3, ENTRIES])
@pytest.mark.parametrize("column", COLUMNS)
def test_every_field_that_is_edited_is_found_and_its_entry_named(
    home: Home, registry: Registry, column: str, number: int
) -> None:
    write(registry)
    with closing(connect(home.registry_path, home.registry_key())) as connection:
        cell = connection.execute(f'SELECT "{column}" FROM audit WHERE id = {number}').fetchone()[0]
    for other in _edits(cell):
        edit(home, f'UPDATE audit SET "{column}" = {other} WHERE id = {number}')
        assert any(str(number) in fault for fault in faults(home)), other
    edit(home, f'UPDATE audit SET "{column}" = {_literal(cell)} WHERE id = {number}')
    assert faults(home) == []


def test_every_single_byte_of_an_entry_counts(home: Home, registry: Registry) -> None:
    write(registry, 3)
    with closing(connect(home.registry_path, home.registry_key())) as connection:
        cells = dict(
            zip(COLUMNS, connection.execute(f"SELECT {_names()} FROM audit WHERE id = 2").fetchone(), strict=True)
        )
    for column, cell in cells.items():
        raw = cell if isinstance(cell, bytes) else str(cell).encode()
        for place in range(len(raw)):
            flipped = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
            value = f"x'{flipped.hex()}'" if isinstance(cell, bytes) else _literal(flipped.decode())
            edit(home, f'UPDATE audit SET "{column}" = {value} WHERE id = 2')
            assert any("entry 2" in fault for fault in faults(home)), (column, place)
        edit(home, f'UPDATE audit SET "{column}" = {_literal(cell)} WHERE id = 2')


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (["DELETE FROM audit WHERE id = 3"], "entry 3 is missing"),
        (["DELETE FROM audit WHERE id IN (2, 3)"], "entries 2 to 3 are missing"),
        (["DELETE FROM audit WHERE id = 1"], "entry 1 is missing"),
        (["DELETE FROM audit WHERE id = 6"], "entry 6 is missing at the end"),
        (["DELETE FROM audit WHERE id > 2"], "entries 3 to 6 are missing at the end"),
        (["DELETE FROM audit"], "entries 1 to 6 are missing at the end"),
        (["DELETE FROM audit WHERE id = 3", "UPDATE audit SET id = id - 1 WHERE id > 3"], "entry 3 was changed"),
        (
            ["UPDATE audit SET id = 99 WHERE id = 2", "UPDATE audit SET id = 2 WHERE id = 3",
             "UPDATE audit SET id = 3 WHERE id = 99"],
            "entry 2 was changed",
        ),
        (
            ["INSERT INTO audit SELECT 7, at_s, by, role, action, what, number, detail, previous, digest "
             "FROM audit WHERE id = 6"],
            "entry 7 was changed",
        ),
    ],
)  # fmt: skip
def test_entries_that_are_missing_moved_or_put_in_are_named(
    home: Home, registry: Registry, statements: list[str], named: str
) -> None:
    write(registry)
    edit(home, *statements)
    assert any(named in fault for fault in faults(home)), faults(home)


def test_entries_taken_off_the_end_stay_missed_when_others_follow(home: Home, registry: Registry) -> None:
    write(registry)
    edit(home, "DELETE FROM audit WHERE id > 4")
    write(registry, 5)
    assert any("entry 6 is not the one" in fault for fault in faults(home))


def test_a_chain_that_was_written_anew_is_found_by_its_anchor(home: Home, registry: Registry) -> None:
    write(registry)
    known = (home.path / audit_head.NAME).read_bytes()
    edit(home, "DELETE FROM audit")
    for number in range(ENTRIES + 2):
        with registry.write() as session:
            audit.record(session, Action.LOOK, What.CASE, 1_000 + number, number, "another story")
    assert (home.path / audit_head.NAME).read_bytes() == known
    assert any(f"entry {ENTRIES} is not the one" in fault for fault in faults(home))


def test_an_anchor_that_lags_is_no_alarm(home: Home, registry: Registry) -> None:
    """The program may be killed between the commit and the anchor."""
    write(registry, 2)
    before = (home.path / audit_head.NAME).read_bytes()
    write(registry, 2)
    (home.path / audit_head.NAME).write_bytes(before)
    assert faults(home) == []


def test_an_anchor_that_is_missing_is_told_and_not_made_anew(home: Home, registry: Registry) -> None:
    write(registry)
    (home.path / audit_head.NAME).unlink()
    write(registry)
    assert any("audit.head is missing" in fault for fault in faults(home))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"number": 1, "digest": "00", "mac": "00"}', b"\xff\xfe"])
def test_an_anchor_that_somebody_else_wrote_is_told(home: Home, registry: Registry, content: bytes) -> None:
    write(registry)
    (home.path / audit_head.NAME).write_bytes(content)
    assert any("was not written by this registry" in fault for fault in faults(home))


def test_the_database_itself_refuses_to_change_an_entry(home: Home, registry: Registry) -> None:
    write(registry)
    with closing(connect(home.registry_path, home.registry_key())) as connection:
        for statement in ("UPDATE audit SET at_s = 1", "DELETE FROM audit"):
            with pytest.raises(Exception, match="never changed"):
                connection.execute(statement)


def test_verify_and_show_on_the_command_line(home: Home, registry: Registry, cli: Program) -> None:
    write(registry)
    assert cli("audit", "verify").code == 0
    shown = cli("audit", "show", "--what", "person", "--action", "look", "--json").document()["entries"]
    assert [entry["number"] for entry in shown] == list(range(ENTRIES))
    # The look is an entry itself.
    last = cli("audit", "show", "--what", "audit", "--json").document()["entries"]
    assert [entry["action"] for entry in last] == ["look"]
    edit(home, "UPDATE audit SET number = 77 WHERE id = 2")
    broken = cli("audit", "verify", "--json")
    assert (broken.code, broken.document()["whole"]) == (1, False)
    assert "Entry 2 was changed." in cli("audit", "verify").out
    assert cli("audit", "show", "--from", "yesterday").code == 2
    assert cli("audit", "show", "--case", "F0-77").code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--case", "9" * 23), 1, "no case of this registry"),
        (("--limit", "9" * 20), 2, "not in the range"),
        (("--from", "9999-12-31", "--to", "9999-12-31"), 2, "too far off"),
    ],
)
def test_numbers_and_days_that_cannot_be_are_sentences(
    registry: Registry, cli: Program, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    shown = cli("audit", "show", *arguments)
    assert (shown.code, sentence in shown.err, "unexpected" in shown.err) == (code, True, False)


def _edits(cell: object) -> list[str]:
    if isinstance(cell, bytes):
        return [f"x'{(bytes([cell[0] ^ 1]) + cell[1:]).hex()}'", "'text'", "x''"]
    if isinstance(cell, int):
        return [str(cell + 1), "'abc'"]
    return ["'x'", "NULL" if cell is None else "''", f"CAST({_literal(cell)} AS BLOB)", "CAST(x'ff' AS TEXT)"]


def _literal(cell: object) -> str:
    if cell is None:
        return "NULL"
    if isinstance(cell, bytes):
        return f"x'{cell.hex()}'"
    return str(cell) if isinstance(cell, int) else "'" + str(cell).replace("'", "''") + "'"


def _names() -> str:
    return ", ".join(f'"{name}"' for name in COLUMNS)
