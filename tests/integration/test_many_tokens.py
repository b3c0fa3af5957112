"""Several tokens at once, as on a clinic's morning: all of them, whoever comes, one pulled out, one that is copied."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.busy import Other
from tests.integration.clinic import Attached, Clinic, assert_beginning, assert_whole, attached
from tests.integration.faults import cut_after
from tests.integration.line import Line
from tests.program import Program

from bztoken.home import Home
from bztoken.link.ports import FoundPort
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.tokens import by_label
from bztoken.sync_many import ManySyncs, Outcome, State
from bzvirtual.fleet import MANIFEST, open_manifest

AN, BINH = "Bà An", "Ông Bình"


class Ears:
    """Hears what is told, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.outcomes: list[Outcome] = []

    def known(self, port: str, _label: str) -> None:
        self.told.append(("known", port))

    def progress(self, port: str, _done: int, _total: int) -> None:
        self.told.append(("progress", port))

    def over(self, outcome: Outcome, is_news: bool) -> None:
        self.told.append(("over", outcome.port))
        self.outcomes.append(outcome)


def sync_these(clinic: Clinic, ports: list[str], ears: Ears | None = None) -> Ears:
    ears = ears or Ears()

    async def run() -> None:
        with open_registry(clinic.home) as registry:
            await ManySyncs(clinic.home, registry, ears).sync_all([FoundPort(port, port, "") for port in ports])

    asyncio.run(run())
    return ears


def among(ports: list[str]) -> list[str]:
    return [word for port in ports for word in ("--among", port)]


@contextmanager
def something_else() -> Iterator[tuple[str, list[bytes]]]:
    """A serial device that is no token: it answers every line with a prompt of its own."""
    master, slave = os.openpty()
    tty.setraw(slave)
    heard: list[bytes] = []

    def answer() -> None:
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                return
            if not data:
                return
            heard.append(data)
            os.write(master, b"modem> ERROR\r\n")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave), heard
    finally:
        os.close(slave)
        os.close(master)
        thread.join(5)


def test_all_that_are_plugged_in_are_synced_side_by_side(clinic: Clinic) -> None:
    labels = [member.label for member in open_manifest(clinic.fleet).tokens()]
    in_flash = {label: clinic.pages_in_flash(label) for label in labels}
    with attached(clinic.fleet) as there:
        ears = sync_these(clinic, [there.ports[label] for label in labels])
    assert [outcome.state for outcome in ears.outcomes] == [State.SYNCED] * len(labels)
    first_over = [what for what, _ in ears.told].index("over")
    # Not one after the other; all of them only where none is done before the last has begun, which no test can ask.
    assert len({port for what, port in ears.told[:first_over] if what == "progress"}) > 1
    for label in labels:
        assert_whole(clinic.stored(label), in_flash[label])


def test_one_that_is_pulled_out_does_not_stop_the_others(clinic: Clinic) -> None:
    in_flash = {label: clinic.pages_in_flash(label) for label in (AN, BINH)}
    with attached(clinic.fleet) as there:
        with Line(there.ports[AN], to_host=cut_after(12_000)) as line:
            ears = sync_these(clinic, [line.path, there.ports[BINH]])
        states = {outcome.label: outcome for outcome in ears.outcomes}
        assert states[BINH].state == State.SYNCED
        assert states[AN].state == State.FAILED and "was pulled out" in states[AN].problem
        assert_beginning(clinic.stored(AN), in_flash[AN])
        assert len(clinic.stored(AN)) > 50  # what came over whole is kept, also what was not committed at the cut
        ears = sync_these(clinic, [there.ports[AN]])
    assert_whole(clinic.stored(AN), in_flash[AN])
    assert_whole(clinic.stored(BINH), in_flash[BINH])


class Clumsy(Ears):
    """Makes a mistake at one port."""

    def __init__(self, port: str) -> None:
        super().__init__()
        self._port = port

    def known(self, port: str, label: str) -> None:
        super().known(port, label)
        if port == self._port:
            raise ValueError


def test_a_mistake_of_ours_at_one_port_does_not_stop_the_others(clinic: Clinic) -> None:
    with attached(clinic.fleet) as there:
        ears = sync_these(clinic, [there.ports[AN], there.ports[BINH]], Clumsy(there.ports[AN]))
        assert {outcome.port: outcome.state for outcome in ears.outcomes} == {
            there.ports[AN]: State.FAILED,
            there.ports[BINH]: State.SYNCED,
        }
    (problem,) = [outcome.problem for outcome in ears.outcomes if outcome.problem]
    assert "unexpected ValueError" in problem


def test_another_device_is_left_alone_and_the_tokens_are_synced(clinic: Clinic, cli: Program) -> None:
    with attached(clinic.fleet) as there, something_else() as (other, heard):
        ran = cli("sync", "--all", "--json", *among([there.ports[AN], other]))
    assert ran.code == 0
    found = {port["port"]: port["state"] for port in ran.document()["ports"]}
    assert found == {there.ports[AN]: "synced", other: "no token"}
    said = b"".join(heard)
    assert 0 < len(said) < 300 and b"\x03" not in said  # two small requests, nothing that would interrupt a program


def test_another_device_at_a_port_that_was_named_ends_in_exit_1(clinic: Clinic, cli: Program) -> None:
    with attached(clinic.fleet) as there, something_else() as (other, _):
        ran = cli("sync", "--port", there.ports[AN], "--port", other)
    assert ran.code == 1 and f"Synced {AN}" in ran.out
    assert f"{other}: no token answers there" in ran.err and "1 of 2 tokens could not be synced" in ran.err


def test_a_blank_token_among_the_others_is_told_and_ends_in_exit_1(
    clinic: Clinic, cli: Program, tmp_path: Path
) -> None:
    with attached(clinic.fleet) as there, attached(tmp_path / "blank", blank=1) as shelf:
        blank = shelf.ports["blank-1"]
        ran = cli("sync", "--all", *among([there.ports[AN], blank]))
    assert ran.code == 1
    assert f"Synced {AN}" in ran.out
    assert f"{blank}: The token at {blank} is not provisioned" in ran.err
    assert ran.err.splitlines()[-1].startswith("bztoken: 1 of 2 tokens could not be synced")


def test_a_token_of_another_programme_is_refused_in_one_sentence(clinic: Clinic, cli: Program, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    create_registry(other)
    with attached(clinic.fleet) as there:
        ran = cli("sync", "--all", "--among", there.ports[AN], home=other.path)
    assert ran.code == 1
    assert "is not of this registry: nothing was read" in ran.err


def test_no_token_at_all_is_an_error_that_says_what_to_do(clinic: Clinic, cli: Program) -> None:
    with something_else() as (other, _):
        ran = cli("sync", "--all", "--among", other)
    assert ran.code == 1
    assert "No token was found: plug one in" in ran.err


def test_wrong_usage_is_told(clinic: Clinic, cli: Program) -> None:
    assert cli("sync").code == 2
    assert cli("sync", "--all", "--watch").code == 2
    assert cli("sync", "--port", "/dev/ttyX", "--among", "/dev/tty*").code == 2


# -- two devices, one identity --------------------------------------------------------------------------------------
def add_copy(clinic: Clinic, label: str) -> None:
    """A second device with the flash of the first."""
    manifest = json.loads((clinic.fleet / MANIFEST).read_text())
    member = next(member for member in manifest["members"] if member["label"] == label)
    shutil.copytree(clinic.fleet / member["folder"], clinic.fleet / "copy")
    manifest["members"] = [member, {**member, "label": "copy", "folder": "copy"}]
    (clinic.fleet / MANIFEST).write_text(json.dumps(manifest))


def alarm_of(clinic: Clinic, label: str) -> str | None:
    with open_registry(clinic.home) as registry, registry.read() as session:
        token = by_label(session, label)
        assert token is not None
        return token.alarm


def test_two_devices_with_one_identity_raise_the_clone_alarm(clinic: Clinic, cli: Program) -> None:
    add_copy(clinic, AN)
    with attached(clinic.fleet) as there:
        ran = cli("sync", "--all", *among([there.ports[AN], there.ports["copy"]]))
        assert ran.code == 1
        assert ran.err.count("Two devices that are plugged in have this token's identity") == 2
        assert alarm_of(clinic, AN) == "clone"
        again = cli("sync", "--port", there.ports[AN])
    assert again.code == 1 and "Two devices hold this token's identity" in again.err


def test_a_copy_that_comes_later_raises_the_clone_alarm_and_acknowledges_nothing(clinic: Clinic, cli: Program) -> None:
    """Both devices go on from one state, so their next pages have the same numbers and other content."""
    add_copy(clinic, AN)
    with attached(clinic.fleet) as there:
        assert cli("sync", "--port", there.ports[AN]).code == 0
        stored = clinic.stored(AN)
        ran = cli("sync", "--port", there.ports["copy"])
        kept = clinic.stored(AN)
    assert ran.code == 1, ran.out
    assert "differs from the stored page of the same number" in ran.err
    assert alarm_of(clinic, AN) == "clone"
    assert kept == stored


def test_a_token_put_back_to_an_older_state_is_told(clinic_of_an: Clinic, cli: Program) -> None:
    clinic = clinic_of_an
    image = clinic.image(AN)
    before = image.read_bytes()
    with attached(clinic.fleet) as there:
        assert cli("sync", "--port", there.ports[AN]).code == 0
        there.order("reset", AN)
        time.sleep(1)
        assert cli("sync", "--port", there.ports[AN]).code == 0
    image.write_bytes(before)
    with attached(clinic.fleet) as there:
        ran = cli("sync", "--port", there.ports[AN], "--json")
    assert alarm_of(clinic, AN) in ("rollback", "clone")
    if ran.code == 0:
        assert ran.document()["alarm"] == "rollback"


# -- whoever comes ---------------------------------------------------------------------------------------------------
class Watching:
    """`bztoken sync --watch --json` as a program of its own."""

    def __init__(self, clinic: Clinic, ports: list[str]) -> None:
        words = [sys.executable, "-m", "bztoken", "--home", str(clinic.home.path), "sync", "--watch", "--json"]
        self._process = subprocess.Popen(
            words + among(ports), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def next_line(self) -> dict[str, object]:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))

    def stop(self) -> tuple[int, str]:
        """Ctrl-C; exit code and what was said on stderr."""
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=60)
        return self._process.returncode, said


def test_watch_syncs_whatever_is_plugged_in_and_stops_politely(clinic: Clinic, tmp_path: Path) -> None:
    in_flash = {label: clinic.pages_in_flash(label) for label in (AN, BINH)}
    links = {label: str(tmp_path / name) for label, name in ((AN, "a"), (BINH, "b"))}
    with attached(clinic.fleet) as there:
        plug(there, AN, links)
        watching = Watching(clinic, [str(tmp_path / "[ab]")])
        assert watching.next_line()["label"] == AN
        plug(there, BINH, links)
        assert watching.next_line()["label"] == BINH
        os.unlink(links[AN])
        time.sleep(2.5)
        plug(there, AN, links)
        again = watching.next_line()
        assert (again["label"], again["state"]) == (AN, "synced")
        code, said = watching.stop()
    assert (code, said.splitlines()[-1]) == (0, "Stopped.")
    for label in (AN, BINH):
        assert_whole(clinic.stored(label), in_flash[label])


def test_a_token_that_is_soon_plugged_in_again_is_no_clone_of_itself(clinic_of_an: Clinic) -> None:
    """What was read before the cable was pulled out is still being stored then: another program holds the registry."""
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    other = Other(clinic)

    class Holding(Ears):
        def progress(self, port: str, done: int, total: int) -> None:
            super().progress(port, done, total)
            if not other.has_it:
                other.take()

    async def run(port: str, line: Line) -> Ears:
        ears, plugged = Holding(), [FoundPort(line.path, "first plugging", "")]
        with open_registry(clinic.home) as registry:
            watching = asyncio.create_task(ManySyncs(clinic.home, registry, ears).watch(lambda: plugged))
            while line.passed["host"] < 12_000:
                await asyncio.sleep(0.1)
            plugged[:] = [FoundPort(port, "second plugging", "")]
            while ("known", port) not in ears.told:
                await asyncio.sleep(0.1)
            other.give_back()
            while len(ears.outcomes) < 2:
                await asyncio.sleep(0.1)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return ears

    with attached(clinic.fleet) as there, Line(there.ports[AN], to_host=cut_after(12_000)) as line:
        ears = asyncio.run(asyncio.wait_for(run(there.ports[AN], line), 90))
    assert {outcome.port: outcome.state for outcome in ears.outcomes} == {
        line.path: State.FAILED,
        there.ports[AN]: State.SYNCED,
    }
    assert alarm_of(clinic, AN) is None
    assert_whole(clinic.stored(AN), in_flash)


def plug(there: Attached, label: str, links: dict[str, str]) -> None:
    os.symlink(there.ports[label], links[label])
