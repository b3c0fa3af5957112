"""A courier's computer without a master key reads tokens, carries what it cannot read, and the clinic takes it in."""

import asyncio
import json
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.case_desk import active_case
from tests.integration.clinic import Clinic, assert_whole, attached
from tests.integration.test_bad_input import assert_one_sentence
from tests.program import Program

from bztoken.bundle_export import export_bundle
from bztoken.bundle_import import import_bundle
from bztoken.courier import accept, issue, own_pass, today
from bztoken.formats.courier_pass import CourierPass, PassToken, day_number, write_pass
from bztoken.home import Home
from bztoken.link.token_link import TokenLink
from bztoken.matching.batch import run_batch
from bztoken.registry import cases, tokens
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.exposures import list_exposures
from bztoken.registry.models import ClockPoint, Courier, Sighting, Sync, Token
from bztoken.sync import sync
from bztoken.tracing.case_release import last_days, release_keys
from bzvirtual.fleet import open_manifest
from bzwire import keys, messages

AN, BINH = "Bà An", "Ông Bình"


def quiet(*_: object) -> None:
    """Nobody watches."""


@dataclass
class Round:
    """A courier's round: the clinic, the same clinic as it would be had it synced by itself, and what was carried."""

    clinic: Clinic
    direct: Clinic
    courier: Home
    pass_file: Path
    bundle: Path

    acknowledged_by_courier: list[int] = field(default_factory=list)

    @staticmethod
    def exposures(clinic: Clinic) -> list[tuple[Any, ...]]:
        """Who was near the ill one, by the registry of a clinic, while they lived."""
        ended_s = open_manifest(clinic.fleet).end_s
        with open_registry(clinic.home) as registry, registry.read() as session:
            found = [(one.who, one.exposure) for one in list_exposures(session, "F0-1")]
        return sorted(
            (who, row.day, row.verdict, row.minutes, row.close_minutes, row.windows, row.rssi_max_dbm)
            for who, row in found
            if row.first_s < ended_s and who != BINH
        )


def start_round(prepared: Clinic, folder: Path) -> Round:
    clinic = Clinic(Home(folder / "home"), folder / "fleet")
    shutil.copytree(prepared.home.path, clinic.home.path)
    shutil.copytree(prepared.fleet, clinic.fleet)
    made = Round(clinic, clinic, Home(folder / "courier"), folder / "lan.pass", folder / "lan.bundle")
    issue(clinic.home, "Chị Lan", 30, made.pass_file)
    accept(made.courier, made.pass_file)
    return made


@pytest.fixture(scope="module")
def carried(prepared: Clinic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    """Two tokens were read by the courier first and by the clinic itself after, each into a registry of its own."""
    made = start_round(prepared, tmp_path_factory.mktemp("carried"))
    folder = made.clinic.home.path.parent
    shutil.copytree(made.clinic.home.path, folder / "direct")
    made.direct = Clinic(Home(folder / "direct"), made.clinic.fleet)
    with attached(made.clinic.fleet) as there:
        for label in (AN, BINH):
            assert sync(made.courier, there.ports[label], quiet).label.startswith("token ")
            sync(made.courier, there.ports[label], quiet)
            made.acknowledged_by_courier.append(asyncio.run(made.clinic.acknowledged(there.ports[label])))
        export_bundle(made.courier, made.bundle, quiet)
        for label in (AN, BINH):
            sync(made.direct.home, there.ports[label], quiet)
        released = release_keys(
            made.direct.home,
            there.ports[BINH],
            last_days(4, int(time.time())),
            lambda: there.order("press", BINH, hold_s=3.3),
        )
    import_bundle(made.clinic.home, made.bundle, quiet)
    for clinic in (made.clinic, made.direct):
        now_s = int(time.time())
        with open_registry(clinic.home) as registry:
            with registry.write() as session:
                ill = tokens.by_label(session, BINH)
                active_case(session, "F0-1", cases.SOURCE_TOKEN, ill, released.keys, now_s)
            run_batch(registry, lambda now_s=now_s: now_s)  # type: ignore[misc]
    yield made


def test_what_a_courier_carried_is_what_the_clinic_reads_itself(carried: Round) -> None:
    for label in (AN, BINH):
        in_flash = [page.raw for page in carried.clinic.stored(label)]
        stored = carried.direct.stored(label)
        assert [page.raw for page in stored[: len(in_flash)]] == in_flash
        assert len(in_flash) > 250
        assert_whole(carried.clinic.stored(label), in_flash)


def test_the_exposures_are_those_of_a_direct_sync(carried: Round) -> None:
    assert carried.exposures(carried.clinic) == carried.exposures(carried.direct)
    assert any(who == AN and verdict == "F1" for who, _day, verdict, *_ in carried.exposures(carried.clinic))


def test_a_courier_reads_more_than_once_and_acknowledges_nothing(carried: Round) -> None:
    assert carried.acknowledged_by_courier == [0, 0]


def test_the_clinic_knows_who_brought_which_sync_and_how_the_token_was(carried: Round) -> None:
    with open_registry(carried.clinic.home) as registry, registry.read() as session:
        (courier,) = session.scalars(select(Courier))
        rows = list(session.scalars(select(Sync)))
        seen = [token.last_seen_s for token in session.scalars(select(Token)) if token.label in (AN, BINH)]
    assert {row.courier_id for row in rows} == {courier.id}
    assert len(rows) == 4
    assert all(row.boot_id is not None and row.firmware and row.state == "done" for row in rows)
    assert max(row.started_s for row in rows) == max(seen) and None not in seen


def test_no_secret_and_no_label_is_on_the_couriers_computer_or_in_the_bundle(carried: Round) -> None:
    master_key = carried.clinic.home.master_key()
    with open_registry(carried.clinic.home) as registry, registry.read() as session:
        held = [tokens.token_keys(master_key, token.uid) for token in tokens.all_tokens(session)]
        labels = [token.label for token in tokens.all_tokens(session)]
    log_keys = [keys.next_log_key(one.first_log_key, day) for one in held for day in range(4)]
    secrets = [master_key, *(one.auth_key for one in held), *log_keys]
    with open_registry(carried.courier) as registry, registry.read() as session:
        rows = [row for table in Token.metadata.sorted_tables for row in session.execute(table.select())]
        assert session.scalar(select(func.count(Sighting.id))) == 0
    places = [repr(rows).encode(), carried.bundle.read_bytes(), carried.pass_file.read_bytes()]
    for secret in secrets:
        for shown in (secret, secret.hex().encode(), repr(secret)[2:-1].encode()):
            assert all(shown not in place for place in places)
    assert all(label.encode() not in place for label in labels for place in places)
    assert not carried.courier.master_key_path.exists()
    assert stat.S_IMODE(carried.courier.courier_pass_path.stat().st_mode) == 0o600


# -- with a cable, on a clinic of its own ------------------------------------------------------------------------------
@pytest.fixture
def an(prepared: Clinic, tmp_path: Path) -> Round:
    """Only Bà An's token, and a courier who has read nothing yet."""
    made = start_round(prepared, tmp_path / "round")
    made.clinic.keep_only(AN)
    return made


def bring(made: Round, name: str = "lan.bundle", **options: bool) -> Path:
    path = made.pass_file.parent / name
    export_bundle(made.courier, path, quiet, **options)
    return path


def test_after_an_import_the_clinics_own_sync_lets_the_token_delete_it(an: Round, cli: Program) -> None:
    with attached(an.clinic.fleet) as there:
        port = there.ports[AN]
        sync(an.courier, port, quiet)
        path = bring(an)
        assert json.loads(cli("bundle", "import", path, "--json", home=an.clinic.home.path).out)["pages_damaged"] == 0
        before = an.clinic.stored(AN)
        result = sync(an.clinic.home, port, quiet)
        stored = an.clinic.stored(AN)
        assert result.pages_new == len(stored) - len(before) <= 2
        assert asyncio.run(an.clinic.acknowledged(port)) == stored[-1].sequence
    assert_whole(stored, [page.raw for page in before])


def test_a_lost_bundle_costs_nothing_while_the_token_has_its_pages(an: Round) -> None:
    in_flash = an.clinic.pages_in_flash(AN)
    with attached(an.clinic.fleet) as there:
        port = there.ports[AN]
        sync(an.courier, port, quiet)
        bring(an, "lost.bundle")
        there.order("reset", AN)  # which writes another page
        sync(an.courier, port, quiet)
        asyncio.run(an.clinic.command(port, messages.CMD_SET_CLOCK, t=time.time_ns() // 1_000_000))
        sync(an.courier, port, quiet)
        assert import_bundle(an.clinic.home, bring(an, "brought.bundle"), quiet).pages_new >= 1
        assert an.clinic.stored(AN)[0].sequence > len(in_flash)
        sync(an.clinic.home, port, quiet)
        acknowledged = asyncio.run(an.clinic.acknowledged(port))
    stored = sorted(an.clinic.stored(AN), key=lambda page: page.sequence)
    assert [page.sequence for page in stored] == list(range(1, acknowledged + 1))
    assert [page.raw for page in stored[: len(in_flash)]] == in_flash


def test_what_was_forgotten_is_not_read_again(an: Round) -> None:
    with attached(an.clinic.fleet) as there:
        port = there.ports[AN]
        first = sync(an.courier, port, quiet)
        bring(an, forget=True)
        again = sync(an.courier, port, quiet)
    assert first.pages_new > 250 and again.pages_new + again.pages_known <= 2


def test_a_token_says_no_to_what_a_courier_may_not_do(an: Round, cli: Program) -> None:
    with attached(an.clinic.fleet) as there:
        port = there.ports[AN]
        for command in ("settings --retention 7", "notice set", "selftest"):
            name, *rest = command.split()
            words = [name, "--port", port, *rest]
            assert_one_sentence(cli(*words, home=an.courier.path), "does not do this for a courier")
        status = cli("status", "--port", port, "--json", home=an.courier.path)
        assert status.code == 0 and AN not in status.out
        assert "pages not yet acknowledged by the clinic" in cli("status", "--port", port, home=an.courier.path).out


def test_a_pass_without_this_token_reads_nothing(an: Round, cli: Program) -> None:
    with open_registry(an.clinic.home) as registry, registry.write() as session:
        for token in tokens.all_tokens(session):
            token.state = tokens.STATE_REVOKED if token.label == AN else token.state
    issue(an.clinic.home, "Anh Minh", 5, an.pass_file.with_name("minh.pass"))
    other = Home(an.courier.path.with_name("minh"))
    accept(other, an.pass_file.with_name("minh.pass"))
    with attached(an.clinic.fleet) as there:
        ran = cli("sync", "--port", there.ports[AN], home=other.path)
        assert_one_sentence(ran, "is not on this courier's pass")
        over = cli("sync", "--port", there.ports[AN], home=an.courier.path)
    assert over.code == 0  # the earlier pass still opens it: tokens learn nothing of a revocation


def test_the_token_itself_ends_a_pass(an: Round, cli: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The courier's computer has a clock that is behind: the token's is not."""
    with open_registry(an.clinic.home) as registry, registry.read() as session:
        token = tokens.by_label(session, AN)
        assert token is not None
        auth_key = tokens.token_keys(an.clinic.home.master_key(), token.uid).auth_key
        own = own_pass(an.courier)
        yesterday = today() - timedelta(days=1)
        key = keys.courier_key(auth_key, own.number, day_number(yesterday))
        entry = PassToken(token.id, token.uid, key)
    path = an.pass_file.with_name("over.pass")
    write_pass(path, CourierPass(own.number, own.name, yesterday, own.signing_key, (entry,)))
    monkeypatch.setattr("bztoken.courier.today", lambda: yesterday)
    accept(an.courier, path)
    with attached(an.clinic.fleet) as there:
        assert_one_sentence(cli("sync", "--port", there.ports[AN], home=an.courier.path), "pass is over")


def test_a_courier_sets_a_clock_that_has_no_time_and_no_other(tmp_path: Path) -> None:
    clinic, uid = Clinic(Home(tmp_path / "round"), tmp_path / "fleet"), b"\7" * 8
    create_registry(clinic.home)
    with open_registry(clinic.home) as registry, registry.write() as session:
        tokens.create(session, AN, uid, tokens.ROLE_PERSON, "virtual", int(time.time()))
    held = tokens.token_keys(clinic.home.master_key(), uid)
    courier = Home(tmp_path / "courier")
    issue(clinic.home, "Chị Lan", 30, tmp_path / "lan.pass")
    accept(courier, tmp_path / "lan.pass")

    async def give_keys(port: str) -> None:
        async with TokenLink(port) as link:
            await link.info()
            await link.provision(uid, held.auth_key, held.first_log_key, tokens.ROLE_PERSON)

    with attached(clinic.fleet, blank=1) as there:
        (port,) = there.ports.values()
        asyncio.run(give_keys(port))
        first, second = (sync(courier, port, quiet) for _ in range(2))
        assert first.clock_offset_ms is None
        assert second.clock_offset_ms is not None and abs(second.clock_offset_ms) < 1000
    export_bundle(courier, tmp_path / "bundle", quiet)
    import_bundle(clinic.home, tmp_path / "bundle", quiet)
    with open_registry(clinic.home) as registry, registry.read() as session:
        points = [(point.clock_ms is None, point.was_set) for point in session.scalars(select(ClockPoint))]
    assert points == [(True, True), (False, False), (False, False)]
