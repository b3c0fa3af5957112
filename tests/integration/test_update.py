"""`bztoken firmware` and `bztoken update` on real tokens: signed, sent, cut, gone on with, tried, taken back."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.firmware import updates
from tests.integration.clinic import Clinic, attached
from tests.integration.line import Line
from tests.integration.requests_seen import LosesOneAnswer, at_request, pull_out

from bzfw import VERSION
from bztoken import signing_keys
from bztoken.formats import application_archive
from bztoken.registry.database import open_registry
from bztoken.registry.models import TokenEvent
from bztoken.update import DATA_BYTES, POLL_S
from bzvirtual import application
from bzvirtual.application import FIRMWARE
from bzwire import messages
from bzwire.smp import Message

Cli = Callable[..., Any]
AN = "Bà An"
NEWER = "9.1.0"
# A version that proves itself in a second instead of a minute, for tests that wait for it in real time.
HASTY = (
    ("_HEALTHY_MS = const(60000)", "_HEALTHY_MS = const(1000)"),
    ("_LOOK_MS = const(30000)", "_LOOK_MS = const(500)"),
    ("self._beating = False", "self._beating = True"),
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "signing.key"
    signing_keys.make(path)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware as of a later, hasty version."""
    folder = tmp_path_factory.mktemp("source")
    for package in ("bzfw", "bzwire"):
        shutil.copytree(FIRMWARE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    replace(folder / "bzfw/__init__.py", ((f'"{VERSION}"', f'"{NEWER}"'),))
    replace(folder / "bzfw/alive.py", HASTY)
    return folder


def replace(path: Path, changes: tuple[tuple[str, str], ...]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text)


@pytest.fixture
def trusting(clinic_of_an: Clinic, key: Path) -> Clinic:
    """A clinic that trusts the key."""
    signing_keys.trust(clinic_of_an.home, key.with_name(key.name + signing_keys.PUBLIC_SUFFIX))
    return clinic_of_an


def signed(path: Path, sent: updates.Sent, key: Path) -> Path:
    path.write_bytes(application_archive.seal(sent.stream, signing_keys.load(key)))
    return path


@pytest.fixture
def newer(tmp_path: Path, key: Path) -> Path:
    """The real application under another version."""
    app = application.build(tmp_path / "application")
    return signed(tmp_path / "newer.bza", updates.real(tmp_path / "real", app, NEWER), key)


def events_of(clinic: Clinic) -> list[tuple[str, str | None]]:
    with open_registry(clinic.home) as registry, registry.read() as session:
        return [(row.event, row.detail) for row in session.scalars(select(TokenEvent).order_by(TokenEvent.id))]


def test_from_source_to_a_confirmed_version_and_back_from_a_broken_one(
    clinic_of_an: Clinic, cli: Cli, tmp_path: Path, key: Path, source: Path
) -> None:
    clinic, archive = clinic_of_an, tmp_path / "application.bza"
    built = cli("firmware", "build", "--arch", "x64", "--key", key, "--source", source, "--out", archive)
    assert built.code == 0, built.err
    assert f"version {NEWER} for x64" in built.out
    with attached(clinic.fleet) as there:
        port = there.ports[AN]

        def update(*options: str, of: Path = archive) -> Any:
            return cli("update", "--port", port, "--archive", of, *options)

        refused = update()
        assert (refused.code, "is signed with a key that is not trusted here" in refused.err) == (1, True)
        assert cli("firmware", "trust", f"{key}.pub").code == 0
        assert cli("firmware", "inspect", archive, "--json").document()["signature"] == "valid"

        began_s = time.monotonic()
        done = update("--wait", "--json").document()
        assert (
            0 < done["seconds"] < time.monotonic() - began_s - POLL_S
        )  # it waited for the trial, and does not count it
        size = len(application_archive.read(archive).stream)
        assert (done["before"], done["after"], done["outcome"]) == (VERSION, NEWER, "confirmed")
        assert size <= done["bytes"] <= size + DATA_BYTES  # the piece that met the token's restart is sent again
        assert cli("info", "--port", port, "--json").document()["firmware"] == NEWER
        assert events_of(clinic) == [("updated", NEWER)]

        again = update()
        assert (again.code, again.out) == (0, f"{AN} runs {NEWER} already: nothing was sent.\n")
        older = signed(tmp_path / "older.bza", updates.small(tmp_path / "old", "9.0.9"), key)
        refused = update(of=older)
        assert (refused.code, "newer than 9.0.9: nothing was sent" in refused.err) == (1, True)

        broken = updates.compiled(
            tmp_path / "broken", {"bzfw/__init__": 'VERSION = "9.2.0"\n', "bzfw/app": "import no"}
        )
        stream = application_archive.pack("9.2.0", updates.BUILD, broken)
        failed = update(of=signed(tmp_path / "broken.bza", updates.Sent("9.2.0", stream), key))
        assert failed.code == 1
        assert failed.err.startswith("bztoken: The new version did not start as it should: the token went back to the")
        assert cli("info", "--port", port, "--json").document()["firmware"] == NEWER
        assert events_of(clinic) == [("updated", NEWER)]
        assert cli("sync", "--port", port).code == 0
    assert_log_was_kept(clinic)


def assert_log_was_kept(clinic: Clinic) -> None:
    sequences = [page.sequence for page in clinic.stored(AN)]
    assert sequences == list(range(1, len(sequences) + 1))
    assert len(sequences) > 200


@pytest.mark.usefixtures("impatient")
def test_it_goes_on_after_a_cut_begins_anew_after_a_restart_and_needs_no_last_answer(
    trusting: Clinic, cli: Cli, newer: Path
) -> None:
    size = len(application_archive.read(newer).stream)
    with attached(trusting.fleet) as there:
        port = there.ports[AN]
        with Line(port, on_request=at_request(messages.CMD_UPDATE_WRITE, 200, pull_out)) as line:
            cut = cli("update", "--port", line.path, "--archive", newer)
        assert (cut.code, "was pulled out" in cut.err) == (1, True)
        reset = at_request(messages.CMD_UPDATE_WRITE, 20, lambda: there.order("reset", AN))
        loses = LosesOneAnswer(messages.CMD_UPDATE_FINISH)

        def on_request(request: Message) -> bool:
            return reset(request) and loses.on_request(request)

        with Line(port, to_host=loses.to_host, on_request=on_request) as line:
            done = cli("update", "--port", line.path, "--archive", newer, "--json")
        assert done.code == 0, done.err
        # It went on at the 199th piece, sent some, met the reset, and sent all of it.
        assert size + 10 * DATA_BYTES < done.document()["bytes"] < size + 25 * DATA_BYTES
        assert done.document()["outcome"] == "on trial"
        busy = cli("update", "--port", port, "--archive", newer, "--force")
        assert (busy.code, "still trying its last update" in busy.err) == (1, True)


def test_what_must_not_be_sent_is_told_before_the_cable_is_opened(
    trusting: Clinic, cli: Cli, tmp_path: Path, key: Path
) -> None:
    good = signed(tmp_path / "good.bza", updates.small(tmp_path / "small"), key)
    content = good.read_bytes()
    for name, raw, sentence in (
        (
            "changed.bza",
            content[:-200] + bytes([content[-200] ^ 1]) + content[-199:],
            "was changed after it was signed",
        ),
        ("cut.bza", content[: len(content) // 2], "cut short"),
        ("other.bza", b"BZXX" + content[4:], "is no application archive: "),
        ("later.bza", b"BZAP\xff" + content[5:], "is no application archive of this format"),
        ("empty.bza", b"", "cut short"),
        ("my.key", b"-----BEGIN", "this is no application archive: name a file"),
    ):
        path = tmp_path / name
        path.write_bytes(raw)
        ran = cli("update", "--port", "/dev/nowhere", "--archive", path)
        assert ran.code == 1
        assert sentence in ran.err
    ran = cli("update", "--port", "/dev/nowhere", "--archive", tmp_path / "none.bza")
    assert (ran.code, "cannot be read" in ran.err) == (1, True)
    ran = cli("update", "--port", "/dev/nowhere", "--archive", good)
    assert (ran.code, "There is no port" in ran.err) == (1, True)


def test_an_application_for_another_chip_is_not_sent(trusting: Clinic, cli: Cli, tmp_path: Path, key: Path) -> None:
    stream = application_archive.pack(NEWER, updates.BUILD & 0x3FF | 11 << 10, {"bzfw/app.mpy": b"M"})
    path = signed(tmp_path / "c3.bza", updates.Sent(NEWER, stream), key)
    with attached(trusting.fleet) as there:
        ran = cli("update", "--port", there.ports[AN], "--archive", path)
    assert (ran.code, "is built for rv32imc, and this token's chip is x64" in ran.err) == (1, True)
