"""What a token's answers become: needs in their order, settings in words, and a self-test that is judged fairly."""

from typing import Any

import cbor2
import pytest
from smp.header import OP, Flag, Header, Version

from bztoken.cli.status import answer_status
from bztoken.errors import LinkError
from bztoken.link import requests
from bztoken.link.token_link import Info
from bztoken.token_care import Neighbour, SelfTest, neighbour_of, require_possible
from bztoken.token_settings import Hear, Profile, Scheme, Settings, Wanted
from bztoken.token_status import Need, TokenStatus, UpdateResult, from_fields
from bzwire import messages
from bzwire.smp import GROUP_TOKEN

NOW_MS = 1_800_000_000_000
INFO = Info(1, "0.2.0", "virtual", True, 1, False)
# What a token of version 0.1 says.
OLD = {"u": bytes(8), "r": "person", "t": NOW_MS, "ck": 1, "bo": 4, "up": 9, "f": 3, "n": 10, "a": 5, "lo": 0, "hp": 7}
HEALTHY: dict[str, Any] = {**OLD, "p": 0, "s": 0, "h": 0, "rd": 14, "no": 0, "bv": 3900, "bs": 1, "dd": 0, "qf": 0}
BLUEZONE = Settings(Profile.CONTINUOUS, Scheme.BLUEZONE, Hear.OWN, 14, False)


def status(info: Info = INFO, **changed: Any) -> TokenStatus:
    return from_fields("Bà An", info, {**HEALTHY, **changed}, NOW_MS)


def test_a_healthy_token_has_no_needs() -> None:
    assert status().needs() == []
    assert (status().pages, status().pages_waiting) == (7, 4)


@pytest.mark.parametrize(
    ("changed", "need"),
    [
        ({"ck": 0}, Need.SET_CLOCK),
        ({"bs": 4}, Need.BATTERY_EMPTY),
        ({"bs": 3}, Need.BATTERY_SAVING),
        ({"bs": 2}, Need.BATTERY_LOW),
        ({"dd": 1}, Need.DAYS_GIVEN_UP),
        ({"ft": 1000, "ff": 99}, Need.FLASH_NEARLY_FULL),
        ({"qf": 2}, Need.FILES_PUT_ASIDE),
        ({"fw": 1}, Need.WRITES_FAILED),
        ({"ar": 1}, Need.ADDRESSES_REFUSED),
        ({"ie": 1}, Need.RADIO_ERRORS),
        ({"ur": 2}, Need.UPDATE_ROLLED_BACK),
        ({"t": NOW_MS - 31_000}, Need.CLOCK_OFF),
        ({"t": NOW_MS + 31_000}, Need.CLOCK_OFF),
    ],
)
def test_each_trouble_is_a_need(changed: dict[str, Any], need: Need) -> None:
    assert status(**changed).needs() == [need]


def test_a_developers_board_is_nobodys_to_wear() -> None:
    found = status(Info(1, "0.4.0", "virtual", True, 1, False, development=True), bs=2)
    assert found.needs() == [Need.DEVELOPMENT, Need.BATTERY_LOW]


def test_the_most_urgent_need_comes_first() -> None:
    safe = Info(1, "0.2.0", "virtual", True, 0, True)
    found = status(safe, t=NOW_MS - 90_000, dd=3, bs=2, ck=1)
    assert found.needs() == [Need.SAFE_MODE, Need.BATTERY_LOW, Need.DAYS_GIVEN_UP, Need.CLOCK_OFF]
    assert [need for need in Need if need in found.needs()] == found.needs()


@pytest.mark.parametrize(
    "changed",
    [
        {"bs": 0, "bv": 0},
        {"t": NOW_MS - 29_000},
        {"fb": 1, "rc": 3, "rp": 2, "lo": 5},
        {"ft": 1000, "ff": 100, "us": "b", "ut": 1, "ur": 1},
    ],
)
def test_what_only_a_technician_wants_to_know_is_no_need(changed: dict[str, Any]) -> None:
    assert status(**changed).needs() == []


def test_a_clock_that_is_not_set_has_no_offset() -> None:
    assert status(ck=0, t=5).clock_offset_ms is None


def test_an_old_token_is_read_as_far_as_it_tells() -> None:
    found = from_fields("Bà An", INFO, OLD, NOW_MS)
    assert found.needs() == [] and found.settings is None and found.boots == 4
    assert (found.flash_bytes, found.flash_free_bytes, found.slot, found.on_trial) == (None, None, None, False)


def test_slot_and_flash_are_read_as_they_are_told() -> None:
    found = status(ft=2_000_000, ff=1_500_000, us="b", ut=1, ur=2)
    assert (found.flash_bytes, found.flash_free_bytes, found.slot, found.on_trial) == (2_000_000, 1_500_000, "b", True)
    assert found.update_result == UpdateResult.ROLLED_BACK


def shown(is_courier: bool, found: TokenStatus, capsys: pytest.CaptureFixture[str]) -> str:
    answer_status(found, is_courier)
    return capsys.readouterr().out


def test_an_application_on_trial_is_not_one_that_was_never_updated(capsys: pytest.CaptureFixture[str]) -> None:
    on_trial = shown(False, status(us="b", ut=1, ur=0), capsys)
    assert "slot b, on trial" in on_trial and "never updated" not in on_trial
    assert "slot a; never updated" in shown(False, status(us="a", ut=0, ur=0), capsys)


def test_only_the_clinic_ends_the_waiting_of_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\nLog: 4 pages to sync.\n" in shown(False, status(), capsys)
    assert "\nLog: 4 pages not yet acknowledged by the clinic.\n" in shown(True, status(), capsys)


@pytest.mark.parametrize("told", [{}, {"sm": True}, {"sm": False, "zz": [1]}])
def test_public_information_of_older_and_newer_firmware_is_understood(told: dict[str, Any]) -> None:
    body = cbor2.dumps({"p": 1, "fw": "9.9", "b": "virtual", "pr": True, "ck": 1, **told})
    header = Header(OP.WRITE_RSP, Version.V2, Flag(0), len(body), GROUP_TOKEN, 1, messages.CMD_INFO)
    answer = requests.InfoResponse.loads(bytes(header) + body)
    assert (answer.fw, answer.sm) == ("9.9", told.get("sm", False))


def test_settings_are_read_as_they_are_told() -> None:
    wanted = Wanted(Profile.WINDOWED, Scheme.GAEN, Hear.BOTH, 21, True)
    assert wanted.fields() == {"p": 1, "s": 1, "h": 1, "rd": 21, "no": 1}
    assert Settings.from_fields(wanted.fields()) == Settings(Profile.WINDOWED, Scheme.GAEN, Hear.BOTH, 21, True)
    assert Wanted(notice=False, profile=Profile.CONTINUOUS).fields() == {"p": 0, "no": 0}
    assert Wanted().fields() == {}


@pytest.mark.parametrize("odd", [{"p": 2}, {"s": 7}, {"h": 2}])
def test_settings_that_nobody_knows_are_an_error(odd: dict[str, int]) -> None:
    with pytest.raises(LinkError, match="does not know"):
        status(**odd)


def test_a_site_does_not_sleep() -> None:
    with pytest.raises(LinkError, match="always on"):
        require_possible("site", Wanted(Profile.WINDOWED))
    require_possible("site", Wanted(Profile.CONTINUOUS, Scheme.GAEN))
    require_possible("person", Wanted(Profile.WINDOWED))


def answer(tag: bytes, *heard: bytes, ids: int | None = None) -> dict[str, Any]:
    return {"id": tag, "t": list(heard), "rx": len(heard) if ids is None else ids}


@pytest.mark.parametrize(
    ("own", "other", "others", "verdict"),
    [
        (answer(b"aaaa"), answer(b"bbbb", b"aaaa"), BLUEZONE, Neighbour.HEARD),
        (answer(b"aaaa", b"bbbb"), answer(b"bbbb", b"cccc"), BLUEZONE, Neighbour.NOT_HEARD),
        (answer(b"aaaa"), answer(b"bbbb", b"cccc", ids=17), BLUEZONE, Neighbour.TOO_MANY),
        (answer(b"aaaa"), {"fl": True}, BLUEZONE, Neighbour.NOT_ASKED),
        ({"fl": True}, answer(b"bbbb"), BLUEZONE, Neighbour.NOT_HEARD),
        (
            answer(b"aaaa"),
            answer(b"bbbb"),
            Settings(Profile.CONTINUOUS, Scheme.GAEN, Hear.OWN, 14, False),
            Neighbour.OTHER_SCHEME,
        ),
        (
            answer(b"aaaa"),
            answer(b"bbbb"),
            Settings(Profile.CONTINUOUS, Scheme.GAEN, Hear.BOTH, 14, False),
            Neighbour.NOT_HEARD,
        ),
    ],
)
def test_only_a_neighbour_that_could_hear_is_believed(
    own: dict[str, Any], other: dict[str, Any], others: Settings, verdict: Neighbour
) -> None:
    assert neighbour_of(own, other, BLUEZONE, others) == verdict


def test_a_button_that_nobody_pressed_is_no_fault() -> None:
    assert SelfTest("Bà An", True, True, 0, False, 0).failed() == []
    assert SelfTest("Bà An", False, False, None, True, 3900).failed() == ["flash", "clock", "radio"]
    assert SelfTest("Bà An", True, True, 3, True, 3900, Neighbour.NOT_HEARD).failed() == ["radio"]


USAGE = {
    "sleeping site": "provision --port /dev/null --label X --role site --profile windowed",
    "unknown profile": "settings --port /dev/null --profile asleep",
    "too long": "settings --port /dev/null --retention 22",
    "no day": "settings --port /dev/null --retention 0",
    "no action": "notice --port /dev/null",
    "other action": "notice toggle --port /dev/null",
    "its own neighbour": "selftest --port /dev/null --neighbour /dev/null",
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_exits_with_2(cli: Any, name: str) -> None:
    ran = cli(*USAGE[name].split())
    assert (ran.code, ran.out) == (2, "") and "Usage: bztoken" in ran.err


@pytest.mark.parametrize("line", ["status", "settings", "notice set", "selftest"])
def test_without_a_token_there_is_one_sentence(cli: Any, line: str) -> None:
    cli("registry", "init")
    ran = cli(*line.split(), "--port", "/dev/ttyNONE7")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("bztoken: There is no port /dev/ttyNONE7") and len(ran.err.splitlines()) == 1
