"""Which preset a registry uses: an admin chooses, nobody else; `bztoken scoring` lists, shows and chooses."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.program import Program

from bztoken import scoring
from bztoken.errors import NotAllowed, ScoringError
from bztoken.home import Home
from bztoken.registry import settings
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.events import OPERATOR_VARIABLE
from bztoken.registry.models import AuditEntry, Operator, Setting
from bztoken.registry.permissions import STATE_ACTIVE, Role
from bztoken.scoring import board_offsets, choice

NOW_S = 1_800_000_000
ADMIN = "an admin"


@pytest.fixture
def as_admin(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    with registry.write() as session:
        session.add(Operator(name=ADMIN, role=Role.ADMIN, state=STATE_ACTIVE, password="", added_at_s=NOW_S, by=ADMIN))
    monkeypatch.setenv(OPERATOR_VARIABLE, ADMIN)
    return registry


def test_bluezone_is_in_force_until_somebody_chooses(registry: Registry) -> None:
    with registry.read() as session:
        assert choice.chosen(session) is scoring.load("bluezone")


def test_the_choice_of_an_admin_is_in_force_and_in_the_audit(as_admin: Registry) -> None:
    with as_admin.write() as session:
        assert choice.choose(session, "lfph-wide", NOW_S)
    with as_admin.read() as session:
        assert choice.chosen(session).name == "lfph-wide"
        setting = session.get(Setting, choice.SETTING)
        assert setting is not None
        assert (setting.value, setting.changed_at_s, setting.by) == ("lfph-wide", NOW_S, ADMIN)
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert entry is not None
        assert (entry.action, entry.what, entry.detail, entry.by) == ("change", "setting", "scoring: lfph-wide", ADMIN)


def test_choosing_what_is_in_force_writes_nothing(as_admin: Registry) -> None:
    with as_admin.write() as session:
        assert not choice.choose(session, "bluezone", NOW_S)
        assert choice.choose(session, "swisscovid", NOW_S)
        assert not choice.choose(session, "swisscovid", NOW_S + 5)
    with as_admin.read() as session:
        assert len(session.scalars(select(AuditEntry)).all()) == 1


@pytest.mark.parametrize("role", [None, Role.HEALTH_WORKER, Role.TRACER, Role.DOCTOR])
def test_nobody_else_may_choose(role: Role | None, as_admin: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPERATOR_VARIABLE, "somebody")
    if role is not None:
        with as_admin.write() as session:
            found = session.scalars(select(Operator)).one()
            found.name, found.role = "somebody", role
    with pytest.raises(NotAllowed, match="nothing was changed"), as_admin.write() as session:
        choice.choose(session, "lfph-wide", NOW_S)
    with as_admin.read() as session:
        assert choice.chosen_name(session) == "bluezone"


def test_a_preset_that_is_not_there_cannot_be_chosen(as_admin: Registry) -> None:
    with pytest.raises(ScoringError, match="There is no preset 'strict'"), as_admin.write() as session:
        choice.choose(session, "strict", NOW_S)


def test_a_choice_that_this_version_does_not_have_scores_nothing(as_admin: Registry) -> None:
    with as_admin.write() as session:
        settings.put(session, choice.SETTING, "of-tomorrow", NOW_S)
    with as_admin.read() as session, pytest.raises(ScoringError, match="nothing was scored"):
        choice.chosen(session)


def test_the_commands_list_show_and_choose(as_admin: Registry, home: Home, cli: Program) -> None:
    listed = cli("scoring", "list", "--json").document()
    assert [entry["name"] for entry in listed] == scoring.names()
    assert [entry["name"] for entry in listed if entry["in_use"]] == ["bluezone"]
    assert "The next `bztoken match` scores with cwa-1.15" in cli("scoring", "choose", "cwa-1.15").out
    assert cli("scoring", "choose", "cwa-1.15", "--json").document() == {"preset": "cwa-1.15", "changed": False}
    assert [e["name"] for e in cli("scoring", "list", "--json").document() if e["in_use"]] == ["cwa-1.15"]
    with open_registry(home) as registry, registry.read() as session:
        assert choice.chosen(session).name == "cwa-1.15"


@pytest.mark.parametrize("name", scoring.names())
def test_show_tells_numbers_sources_and_choices(name: str, cli: Program) -> None:
    ran = cli("scoring", "show", name)
    assert (ran.code, ran.err) == (0, "")
    assert all(part in ran.out for part in ("a minute counts: ", "Sources:", "and we chose:"))
    document = cli("scoring", "show", name, "--json").document()
    assert document["numbers"]["a minute counts"]
    assert document["sources"]


def test_the_list_is_there_without_a_registry_and_says_that_nothing_is_known_of_its_use(cli: Program) -> None:
    ran = cli("scoring", "list", "--json")
    assert (ran.code, [entry["in_use"] for entry in ran.document()]) == (0, [False] * len(scoring.names()))
    assert "Which of them is in use is not known: there is no registry" in ran.err


def test_a_choice_that_is_refused_ends_with_1_and_one_sentence(registry: Registry, cli: Program) -> None:
    ran = cli("scoring", "choose", "lfph-wide")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert "admin" in ran.err


def test_the_offset_of_a_board_is_what_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (Path(__file__).parents[2] / "boards").glob("*.json"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    for name, offset in (("esp32-devkit", -7), ("xiao-esp32c3", None)):
        (tmp_path / name).mkdir()
        text = (Path(__file__).parents[2] / "boards" / name / "board.json").read_text()
        wanted = f'"rssi_offset_db": {offset}' if offset is not None else '"rssi_offset_db": "much"'
        assert '"rssi_offset_db": 0' in text
        (tmp_path / name / "board.json").write_text(text.replace('"rssi_offset_db": 0', wanted))
    monkeypatch.setenv("BZTOKEN_BOARDS", str(tmp_path))
    assert board_offsets.offset_db("esp32-devkit") == -7
    assert board_offsets.offset_db("xiao-esp32c3") == 0  # its file is wrong: a remark, and everybody else is matched
    assert board_offsets.offset_db("of-tomorrow") == 0
    assert board_offsets.offset_db(None) == 0
