"""Keys of a case and logs of tokens, written for others in their formats, and read back from them."""

import time
from pathlib import Path

import pytest
from tests.case_desk import TRACER, CaseDesk, days_ago, staff
from tests.host.traced_world import START_S, TracedWorld, day_key
from tests.program import Program, Ran

from bztoken.formats.case_list import CaseKey, expand_days, read_case_list, write_case_list
from bztoken.formats.export_signature import load_public_key
from bztoken.formats.gaen_export import read_export
from bztoken.formats.history import read_history
from bztoken.formats.tracing_key import TracingKey
from bztoken.home import Home
from bztoken.registry import cases, events, tokens
from bztoken.registry.database import open_registry
from bzwire.bluezone import slot_id

DAY_S = 86400


@pytest.fixture
def desk(cli: Program, home: Home, tmp_path: Path) -> CaseDesk:
    cli("registry", "init")
    staff(home)
    return CaseDesk(cli, tmp_path)


@pytest.fixture
def phone_list(tmp_path: Path) -> Path:
    """Ten days of a phone, until yesterday."""
    today_s = int(time.time()) // DAY_S * DAY_S
    write_case_list(tmp_path / "phone.json", [CaseKey(b"k" * 32, today_s - 10 * DAY_S, 96, today_s - 1)])
    return tmp_path / "phone.json"


def refused(ran: Ran, said: str) -> None:
    assert (ran.code, ran.out) == (1, "") and said in ran.err and len(ran.err.splitlines()) == 1, ran.err


def test_a_case_goes_out_as_the_list_that_phones_read(desk: CaseDesk, phone_list: Path) -> None:
    desk.record("F0-1", "--list", phone_list, "--onset", days_ago(3))
    out = desk.folder / "out.json"
    done = desk.tracer("case", "export", "F0-1", "--format", "bluezone", "--out", out, "--json").document()
    assert (done["keys"], done["written"]) == (5, 5)
    (chain,) = read_case_list(phone_list)
    five = [(day.day_key, day.start_s) for day in expand_days(chain)][-5:]
    assert [(key.day_key, key.time_start_s) for key in read_case_list(out)] == five
    refused(
        desk.tracer("case", "export", "F0-1", "--format", "gaen", "--out", out, "--sign-key", sign_key(desk)),
        "keys of this case are Bluezone keys",
    )
    assert desk.tracer("case", "export", "F0-1", "--format", "gaen", "--out", out).code == 2


def sign_key(desk: CaseDesk) -> Path:
    path = desk.folder / "sign.pem"
    if not path.exists():
        assert desk.tracer("keys", "sign-key", "--out", path).code == 0
    return path


def test_a_gaen_case_comes_from_an_export_and_goes_out_signed_and_padded(
    desk: CaseDesk, home: Home, tmp_path: Path
) -> None:
    start_s = int(time.time()) // DAY_S * DAY_S - 2 * DAY_S
    noon_s = start_s + DAY_S + DAY_S // 2  # the second was released then, and must not be valid until midnight
    teks = [
        TracingKey("gaen", b"\0" * 16, start_s, 144, start_s + DAY_S - 1),
        TracingKey("gaen", b"\1" * 16, start_s + DAY_S, 144, noon_s - 1),
    ]
    with events.acting_as(TRACER), open_registry(home) as registry, registry.write() as session:
        new = cases.NewCase("F0-9", cases.SOURCE_EXPORT, teks, report_type="confirmed_test")
        cases.activate(session, cases.add_draft(session, new, int(time.time())))
    out = tmp_path / "out.zip"
    words = (
        "--format",
        "gaen",
        "--out",
        out,
        "--sign-key",
        sign_key(desk),
        "--region",
        "VN",
        "--pad-to",
        "30",
        "--json",
    )
    done = desk.tracer("case", "export", "F0-9", *words).document()
    read = read_export(out)
    assert done["keys"] == 2 and 30 <= done["written"] == len(read.keys) <= 33
    assert read.verdict(load_public_key(tmp_path / "sign.public.pem")) == "valid"
    periods = {(tek.key, tek.time_start_s, period) for tek, period in zip(teks, (144, 72), strict=True)}
    assert {(key.key, key.start_s, key.rolling_period) for key in read.keys} > periods
    refused(desk.tracer("case", "export", "F0-9", "--format", "bluezone", "--out", out), "are GAEN keys")
    back = ("--export", out, "--public-key", tmp_path / "sign.public.pem", "--test", days_ago(0))
    assert desk.record("F0-10", *back).document()["keys"] == len(read.keys)
    refused(
        desk.tracer("case", "add", "--name", "F0-11", "--export", out, "--test", days_ago(0)), "give the public key"
    )


def test_a_tokens_log_goes_out_as_a_phones_history(desk: CaseDesk, home: Home, tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    with open_registry(home) as registry:
        world = TracedWorld(registry)
        world.token("YB-1")
        world.hears("YB-1", b"a" * 12, START_S + 1000)
        world.hears("YB-1", b"b" * 12, START_S + DAY_S + 1000)
        refused(desk.tracer("history", "export", "--token", "YB-1", "--out", out), "no ID that this token had is known")
        with registry.write() as session:
            token = tokens.by_known_label(session, "YB-1")
            cases.add_draft(session, cases.NewCase("F0", cases.SOURCE_TOKEN, [day_key("own")], token=token), 1)
    assert not out.exists()
    done = desk.tracer("history", "export", "--token", "YB-1", "--out", out, "--json").document()
    assert (done["lines"], done["left_out"]) == (1, 1)
    (line,) = read_history(out)
    assert (line.own_id, line.contact_id) == (slot_id(day_key("own").key, 1), b"a" * 12)
    assert line.unix_ms == (START_S + 1000) * 1000
