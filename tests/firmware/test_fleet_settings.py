"""What a world says of its carriers reaches them: settings, role, clocks that are wrong and that jump, iPhones."""

import json
from pathlib import Path

import pytest

from bztoken.crypto import aes_ecb
from bztoken.report.flash_pages import read_pages
from bzvirtual.desk import identities_from_seed
from bzvirtual.fleet import FleetRun, open_manifest
from bzvirtual.settings import fields_of
from bzvirtual.world import DAY_S, Options
from bzvirtual.world_file import parse
from bzwire import bluezone, messages
from bzwire.keys import next_log_key
from bzwire.page import STATE_CLOCK_REPAIRED, STATE_SITE, STATE_WINDOWED, PageHeader, check_page, open_page

START_S = 1_767_571_200  # 2026-01-05 00:00 UTC
LIFE_S = 1500
WORLD = """
world bench
timezone +7
place room 0 0 indoor
spot room chair 0 0
spot room stool 1.5 0
spot room mat 0 1.2
person an "Bà An" token profile=windowed scheme=gaen hear=both jump=07:10:-120
  00:00 room/chair
person gate "Cổng" site profile=continuous offset_s=-2
  00:00 room/stool
person em "Em" iphone foreground=no
  00:00 room/mat
"""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("settings") / "fleet"
    place = parse("bench.world", WORLD)
    identities = identities_from_seed([person.shown for person in place.token_carriers()], 4)[1]
    run = FleetRun(folder, place, identities, 4, START_S)
    run.prepare()
    run.run(LIFE_S / DAY_S)
    return folder


def headers_of(folder: Path, name: str) -> list[PageHeader]:
    tokens = json.loads((folder / "identities.json").read_text())["tokens"]
    key = next(bytes.fromhex(token["first_log_key"]) for token in tokens if token["person"] == name)
    pages = read_pages(folder / f"token-{name}" / "flash.bin")
    return [open_page(page, next_log_key(key, 0), aes_ecb)[0] for page in pages]


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (Options(), {}),
        (Options(role="site", offset_s=3, drift_ppm=9), {}),
        (Options(profile="continuous"), {"p": 0}),
        (Options(profile="windowed", scheme="gaen", hear="both"), {"p": 1, "s": 1, "h": 1}),
        (Options(scheme="bluezone", hear="own"), {"s": 0, "h": 0}),
    ],
)
def test_only_what_a_world_names_is_told(options: Options, fields: dict[str, int]) -> None:
    assert fields_of(options) == fields


def test_the_settings_command_is_one_that_tokens_know() -> None:
    assert messages.CMD_SETTINGS > messages.CMD_READ_RELEASE


def test_tokens_live_as_their_world_says(lived: Path) -> None:
    assert {header.state & (STATE_WINDOWED | STATE_SITE) for header in headers_of(lived, "an")} == {STATE_WINDOWED}
    assert {header.state & (STATE_WINDOWED | STATE_SITE) for header in headers_of(lived, "gate")} == {STATE_SITE}
    an, gate, em = open_manifest(lived).members
    assert (an.profile, an.scheme, an.hear, an.role) == ("windowed", "gaen", "both", "person")
    assert (gate.carries, gate.role, em.carries) == ("token", "site", "iphone")


def test_each_broadcasts_its_own_scheme(lived: Path) -> None:
    lines = [line.split("\t") for line in (lived / "ids.tsv").read_text().splitlines()]
    kinds = {(carrier, kind, len(rotating_id) // 2) for carrier, kind, rotating_id, *_ in lines}
    assert kinds == {("an", "gaen", 16), ("gate", "bluezone", 12), ("em", "bluezone", 12)}


def test_an_iphones_ids_are_those_of_its_key_though_no_broadcast_tells_them(lived: Path) -> None:
    case = json.loads((lived / "phone-em.json").read_text())["data"][0]
    lines = [line.split("\t") for line in (lived / "ids.tsv").read_text().splitlines()]
    found = [bytes.fromhex(rotating_id) for carrier, _, rotating_id, *_ in lines if carrier == "em"]
    assert found == list(bluezone.slot_ids(bytes.fromhex(case["daily_key"]), len(found)))
    assert len(found) == 2


def test_a_clock_starts_wrong_and_another_jumps_once(lived: Path) -> None:
    clocks = json.loads((lived / "truth.json").read_text())["clocks"]
    assert clocks["gate"][0][1] == pytest.approx(-2, abs=0.3)
    # Put back before the world looks again: only the token's own page tells of the jump.
    assert all(offset_s == pytest.approx(0, abs=1) for _, offset_s in clocks["an"])
    headers = [check_page(page) for page in read_pages(lived / "token-an" / "flash.bin")]
    repaired = [header.window_start_s - START_S for header in headers if header.state & STATE_CLOCK_REPAIRED]
    assert repaired in ([300], [600])
