"""A batch that is stopped, killed, or fails at one token: no token is lost, no number given twice, no other held up."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.batch_desk import NAME, Running, among, labels, labels_proven, read_codes, read_list, rows
from tests.integration.clinic import Attached
from tests.integration.faults import cut_after
from tests.integration.line import Cut, Line
from tests.integration.requests_seen import CutAtAnswer, at_request, pull_out

from bztoken import port_watch
from bztoken.home import Home
from bztoken.link.ports import FoundPort
from bztoken.provision import provision
from bztoken.provision_batch import ManyProvisions, Outcome, State, Tally
from bztoken.registry import provision_batches
from bztoken.registry.batch_labels import label_of
from bztoken.registry.database import open_registry
from bztoken.registry.provision_batches import BatchOptions
from bzwire import messages
from bzwire.smp import GROUP_TOKEN, Message


def test_what_is_under_way_at_ctrl_c_is_finished(home: Home, two: Attached, tmp_path: Path) -> None:
    """And nothing else is begun."""
    one, other = two.ports.values()
    running: list[Running] = []
    stop = at_request(messages.CMD_PROVISION, 1, lambda: running[0].process.send_signal(signal.SIGINT))
    with Line(one, on_request=stop) as line:
        for name, port in (("a", line.path), ("b", other)):
            (tmp_path / name).symlink_to(port)
        words = ("--batch", NAME, "--prefix", "YB-", "--at-once", 1, "--among", tmp_path / "[ab]")
        running.append(Running(home, *words))
        code, out, err = running[0].ended()
    assert code == 0 and "Stopping: what is under way (1) is finished first" in err and "1 token so far" in out
    assert [(row.label, row.state) for row in rows(home)] == [(label_of("YB-", 1), "active")]


def test_a_file_that_cannot_be_written_at_the_end_is_told_and_no_token_is_lost(
    home: Home, two: Attached, tmp_path: Path
) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    words = ("--batch", NAME, "--prefix", "YB-", "--csv", folder / "list.csv")
    run = Running(home, *words, "--among", two.ports["blank-1"])
    run.next_line()
    folder.rmdir()
    code, _, err = run.stop()
    assert code == 1 and err.splitlines()[-1].startswith(f"bztoken: {folder}/list.csv cannot be written")
    assert "no token is lost: the same command writes it once more" in err
    folder.mkdir()
    assert Running(home, *words, "--count", 1).ended()[0] == 0
    assert [row["label"] for row in read_list(folder / "list.csv")] == labels(1)


def test_a_second_ctrl_c_does_not_wait_for_what_is_under_way(home: Home, two: Attached) -> None:
    """A token that does not answer any more would hold it up for 10 s."""
    one, other = two.ports.values()
    running: list[Running] = []
    stop = at_request(messages.CMD_PROVISION, 1, lambda: running[0].process.send_signal(signal.SIGINT), swallow=True)
    with Line(one, on_request=stop) as line:
        running.append(Running(home, "--batch", NAME, "--prefix", "YB-", "--among", line.path, on_terminal=True))
        running[0].shown("Ctrl-C again does not wait for it")
        began_s = time.monotonic()
        code, out, shown = running[0].stop()
    assert code == 0 and time.monotonic() - began_s < 9
    assert "0 tokens so far" in out and "Begun and not finished: YB-0001-3." in shown
    assert Running(home, "--batch", NAME, "--count", 1, "--among", one).ended()[0] == 0
    assert labels_proven(home, [one]) == labels(1, first=2)


def test_a_polite_kill_is_as_good_as_ctrl_c(home: Home, two: Attached, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    run = Running(home, "--batch", NAME, "--prefix", "YB-", "--csv", listed, "--among", two.ports["blank-1"])
    run.next_line()
    code, out, _ = run.stop(signal.SIGTERM)
    assert code == 0 and "1 token so far" in out
    assert [row["label"] for row in read_list(listed)] == labels(1)


def test_a_batch_leaves_what_was_begun_outside_it_to_that(home: Home, two: Attached) -> None:
    """A number that another batch gave is not this one's to finish; a label that somebody types takes it over."""
    one, other = two.ports.values()
    with Line(one, **after_the_keys(pull_out)) as line:  # type: ignore[arg-type]
        run = Running(home, "--batch", "Monday", "--prefix", "YB-", "--json", "--among", line.path)
        assert run.next_document()["state"] == "failed"
        run.stop()
    run = Running(home, "--batch", "Tuesday", "--prefix", "YB-", "--json", *among([one, other]))
    said = {document["port"]: document for document in (run.next_document() for _ in range(2))}
    assert run.stop()[0] == 0
    assert said[one]["state"] == "failed" and "begun outside this batch" in said[one]["problem"]
    assert said[other]["label"] == label_of("YB-", 2)
    assert [(row.label, row.state) for row in rows(home)] == [
        (label_of("YB-", 1), "pending"),
        (label_of("YB-", 2), "active"),
    ]
    assert provision(home, one, "Bà An").label == "Bà An"
    assert [(row.label, row.number) for row in rows(home)] == [("Bà An", None), (label_of("YB-", 2), 2)]
    assert labels_proven(home, [one]) == ["Bà An"]


# -- killed ------------------------------------------------------------------------------------------------------------
Moment = Callable[[Callable[[], None]], dict[str, object]]


def before_the_keys(kill: Callable[[], None]) -> dict[str, object]:
    """The row is there, the token has nothing."""
    return {"on_request": at_request(messages.CMD_PROVISION, 1, kill, swallow=True)}


def after_the_keys(kill: Callable[[], None]) -> dict[str, object]:
    """The token has its keys, nobody has heard."""
    return {"on_request": at_request(messages.CMD_HELLO, 1, kill, swallow=True)}


def before_the_settings(kill: Callable[[], None]) -> dict[str, object]:
    """Both sides have proven who they are."""
    return {"on_request": at_request(messages.CMD_SET_CLOCK, 1, kill)}


@pytest.mark.parametrize(("moment", "is_own_number"), [(before_the_keys, False), (after_the_keys, True),
                                                       (before_the_settings, True)])  # fmt: skip
def test_a_batch_that_was_killed_goes_on(home: Home, two: Attached, moment: Moment, is_own_number: bool) -> None:
    """A number of which nobody knows whether a token has it is not given to another."""
    one, other = two.ports.values()
    words = ("--batch", NAME, "--prefix", "YB-", "--count", 2, "--json")
    running: list[Running] = []

    def kill() -> None:
        running[0].process.kill()
        running[0].process.wait(60)

    with Line(one, **moment(kill)) as line:  # type: ignore[arg-type]
        running.append(Running(home, *words, "--among", line.path))
        assert running[0].ended()[0] == -signal.SIGKILL
    assert [(row.label, row.state) for row in rows(home)] == [(label_of("YB-", 1), "pending")]
    again = Running(home, *words, *among([one, other]))
    said = {document["port"]: document["label"] for document in (again.next_document() for _ in range(2))}
    last = again.next_document()
    assert again.ended()[0] == 0 and last["tokens"] == 2
    assert labels_proven(home, [one, other]) == [said[one], said[other]]
    if is_own_number:
        assert said[one] == label_of("YB-", 1) and last["unfinished"] == []
    else:
        assert sorted(said.values()) == labels(2, first=2) and last["unfinished"] == [label_of("YB-", 1)]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_batch_killed_at_any_moment_loses_no_token(home: Home, six: Attached, tmp_path: Path, seed: int) -> None:
    ports = list(six.ports.values())
    words = ("--batch", NAME, "--prefix", "YB-", "--count", 6, "--labels", tmp_path / "l.pdf", "--json", *among(ports))
    run = Running(home, *words)
    run.next_line()
    time.sleep(random.Random(seed).uniform(0, 0.5))
    run.process.kill()
    run.ended()
    before = {row.label for row in rows(home) if row.state == "active"}
    code, out, _ = Running(home, *words).ended()
    *said, last = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and last["tokens"] == 6
    proven = labels_proven(home, ports)
    assert len(set(proven)) == 6 and before <= set(proven)
    assert all(proven[ports.index(document["port"])] == document["label"] for document in said)
    assert read_codes(tmp_path / "l.pdf") == sorted(proven)
    assert {row.label for row in rows(home) if row.state == "active"} == set(proven)


# -- one fails ---------------------------------------------------------------------------------------------------------
def test_one_that_is_pulled_out_is_beeped_at_and_the_others_go_on(home: Home, two: Attached) -> None:
    one, other = two.ports.values()
    cut = CutAtAnswer(messages.CMD_PROVISION)
    with Line(one, to_host=cut.to_host, on_request=cut.on_request) as line:
        words = ("--batch", NAME, "--prefix", "YB-", "--among", line.path, "--among", other)
        run = Running(home, *words, on_terminal=True)
        assert run.next_line().startswith(f"{other}: YB-000")
        run.shown("same command again")
        shown = run.shown("\x07")
        assert "1 provisioned" in run.shown("1 provisioned")
        code, _, shown = run.stop()
    assert code == 0 and shown.count("\x07") == 2  # at the failure, and at the end
    states = sorted(row.state for row in rows(home))
    assert states == ["active", "pending"]
    again = Running(home, "--batch", NAME, "--count", 2, "--json", "--among", one)
    pending = next(row.label for row in rows(home) if row.state == "pending")
    assert again.next_document()["label"] == pending  # finished under its own label
    assert again.ended()[0] == 0
    assert labels_proven(home, [one, other]) == sorted(labels(2), key=lambda label: label != pending)


def test_a_bell_may_be_silenced(home: Home, two: Attached) -> None:
    one = two.ports["blank-1"]
    with Line(one, to_host=cut_after(10)) as line:
        words = ("--batch", NAME, "--quiet-bell", "--among", line.path)
        run = Running(home, *words, on_terminal=True)
        run.shown("was pulled out")
        code, _, shown = run.stop()
    assert code == 0 and "\x07" not in shown
    assert rows(home) == []  # it never had a number


class Ears:
    """Hears what is told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.tallies: list[Tally] = []

    def over(self, outcome: Outcome, is_news: bool) -> None:
        if is_news:
            self.outcomes.append(outcome)

    def tally(self, tally: Tally) -> None:
        self.tallies.append(tally)

    def blinks(self, label: str | None) -> None:
        raise AssertionError("nobody looks")

    def has_no_light(self) -> None:
        raise AssertionError("nobody looks")

    def pulled_out(self, label: str) -> None:
        raise AssertionError("nobody looks")


@pytest.mark.parametrize("at_once", [1, 2])
def test_one_that_waited_and_was_pulled_out_is_not_worked_at_any_more(home: Home, two: Attached, at_once: int) -> None:
    """For its turn, or because the batch has enough; then the token that was under way is pulled out too."""
    one, other = two.ports.values()
    there = [one]

    def cut_last() -> None:
        there.append(other)
        time.sleep(2.5)
        there.remove(other)
        time.sleep(2.5)
        raise Cut(b"")

    async def run(ears: Ears) -> None:
        with open_registry(home) as registry:
            with registry.write() as session:
                batch = provision_batches.begin(session, NAME, BatchOptions(prefix="YB-"), 1)
            many = ManyProvisions(home, registry, batch, ears, wanted=1, at_once=at_once)
            async with many.working(lambda: [FoundPort(port, port, "") for port in there]):
                while not ears.outcomes:
                    await asyncio.sleep(0.1)
                await asyncio.sleep(2)

    ears = Ears()
    with Line(one, on_request=at_request(messages.CMD_PROVISION, 1, cut_last)) as line:
        there[0] = line.path
        asyncio.run(asyncio.wait_for(run(ears), 90))
    assert [(outcome.port, outcome.state) for outcome in ears.outcomes] == [(line.path, State.FAILED)]
    assert [row.state for row in rows(home)] == ["pending"]


def test_one_that_failed_is_tried_again_while_it_is_plugged_in(
    home: Home, two: Attached, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is blank still, so its number is the next one's."""
    monkeypatch.setattr(port_watch, "RETRY_LOOKS", 2)
    one, other = two.ports.values()
    swallowed: list[Message] = []

    def once(request: Message) -> bool:
        """The first hand-over does not reach the token."""
        if request.group == GROUP_TOKEN and request.command == messages.CMD_PROVISION and not swallowed:
            swallowed.append(request)
            return False
        return True

    async def run(ports: list[str], ears: Ears) -> None:
        with open_registry(home) as registry:
            with registry.write() as session:
                batch = provision_batches.begin(session, NAME, BatchOptions(prefix="YB-"), 1)
            many = ManyProvisions(home, registry, batch, ears, wanted=2)
            async with many.working(lambda: [FoundPort(port, port, "") for port in ports]):
                await many.until_enough()

    ears = Ears()
    with Line(one, on_request=once) as line:
        asyncio.run(asyncio.wait_for(run([line.path, other], ears), 90))
        states = [(outcome.port, outcome.state) for outcome in ears.outcomes]
        assert sorted(states) == sorted(
            [(line.path, State.FAILED), (line.path, State.PROVISIONED), (other, State.PROVISIONED)]
        )
    assert sorted(row.label for row in rows(home)) == labels(2)
    assert ears.tallies[0] == Tally(0, 2, 0, 0, None) and ears.tallies[-1] == Tally(2, 2, 0, 0, 0.0)
    assert max(tally.under_way for tally in ears.tallies) == 2 and 1 in {tally.failed for tally in ears.tallies}
