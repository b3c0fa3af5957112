"""`bztoken token` on real tokens behind ports: found, wiped and handed out again, revoked; whatever is cut."""

import io
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.clinic import Clinic, attached
from tests.integration.line import Line, clean
from tests.integration.requests_seen import CutAtAnswer, at_request, pull_out

from bztoken import token_wipe
from bztoken.link import requests
from bztoken.registry import events, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.models import Token
from bzwire import messages
from bzwire.smp import Message

Cli = Callable[..., Any]
AN, CU = "Bà An", "Bà Cư"
UNKNOWN_COMMAND = 99


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "desk 2")


def happened(cli: Cli, label: str) -> list[tuple[str, str | None]]:
    """To a token, in order."""
    story = cli("token", "show", label, "--json").document()
    return [(event["event"], event["detail"]) for event in story["events"]]


def is_blank(cli: Cli, port: str) -> bool:
    """Asked anew, as anybody may."""
    return not cli("info", "--port", port, "--json").document()["provisioned"]


def wait_until(is_so: Callable[[], bool]) -> None:
    """At most a minute and a half."""
    until_s = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.2)


def test_a_token_is_wiped_when_its_log_is_here_and_only_then(clinic_of_an: Clinic, cli: Cli) -> None:
    identity = clinic_of_an.auth_key(AN)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        refused = cli("token", "wipe", "--port", port, "--yes")
        assert (refused.code, refused.out) == (1, "") and "pages that may not be stored here: run" in refused.err
        assert cli("sync", "--port", port).code == 0
        stored = [page.raw for page in clinic_of_an.stored(AN)]
        done = cli("token", "wipe", "--port", port, "--yes", "--json")
        assert (done.code, done.document()) == (
            0,
            {"label": AN, "state": "wiped", "pages_lost": 0, "erased": True},
        )
        assert identity not in clinic_of_an.image(AN).read_bytes()
        assert is_blank(cli, port)
        nothing = cli("token", "wipe", "--port", port, "--yes")
        assert nothing.code == 1 and "is blank: there is nothing to wipe" in nothing.err
        old = cli("token", "list", "--state", "wiped", "--json").document()["tokens"][0]
        assert (old["pages"], old["label"]) == (len(stored), f"{AN} (wiped 1)")
        assert [page.raw for page in clinic_of_an.stored(old["label"])] == stored
        assert cli("provision", "--port", port, "--label", AN).code == 0
        assert cli("sync", "--port", port).code == 0
    assert happened(cli, old["label"])[-2:] == [("wipe begun", None), ("wiped", None)]
    assert [event for event, _ in happened(cli, AN)] == ["provisioned"]


def test_a_person_who_says_no_is_obeyed(clinic_of_an: Clinic, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
        said_no = cli("token", "wipe", "--port", port, "--force")
        assert (said_no.code, said_no.out) == (1, "")
        question, refusal = said_no.err.splitlines()
        assert question.startswith("Wipe Bà An? ") and question.endswith("are lost. This cannot be undone. [y/N]")
        assert refusal == "bztoken: Nothing was changed: answer y, or add --yes."
        assert not is_blank(cli, port) and happened(cli, AN) == []
        monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
        assert cli("token", "wipe", "--port", port, "--force").code == 0
        assert is_blank(cli, port)


def test_a_token_handed_out_again_is_another_one(clinic: Clinic, cli: Cli) -> None:
    clinic.keep_only(CU)
    with attached(clinic.fleet) as there:
        port = there.ports[CU]
        taken = cli("token", "reissue", "--port", port, "--label", AN, "--force", "--yes")
        assert taken.code == 1 and "another token has this label" in taken.err and not is_blank(cli, port)
        assert cli("sync", "--port", port).code == 0
        before = clinic.auth_key(CU)
        done = cli("token", "reissue", "--port", port, "--label", CU, "--role", "site", "--yes", "--json")
        assert done.code == 2 and "add --place" in done.err and not is_blank(cli, port)
        done = cli(
            *f"token reissue --port {port} --role site --yes --json --label".split(), CU, "--place", "Chợ Yên Bái"
        )
        assert done.document() == {"label": CU, "role": "site", "before": CU, "pages_lost": 0}
        assert clinic.auth_key(CU) != before
        now = cli("token", "show", CU, "--port", port, "--json").document()
        assert (now["role"], now["status"]["role"], now["place"]) == ("site", "site", "Chợ Yên Bái")
        assert now["status"]["boots"] > 2  # counted on: boot and sequence name a page for ever
        assert cli("sync", "--port", port).code == 0
        assert before not in clinic.image(CU).read_bytes()
    with open_registry(clinic.home) as registry, registry.read() as session:
        new = tokens.by_known_label(session, CU).id
        old = next(token for token in tokens.all_tokens(session) if token.state == tokens.STATE_WIPED)
    assert happened(cli, old.label)[-1] == ("reissued", f"is now token {new}")
    assert happened(cli, CU)[-1] == ("reissued", f"was token {old.id}")
    assert len(clinic.stored(old.label)) > 200


def test_a_wipe_that_was_cut_is_finished_by_the_same_command(
    clinic_of_an: Clinic, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_wipe, "SILENCE_LIMIT_S", 1.0)
    wipe = ("token", "wipe", "--force", "--yes", "--port")
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        with Line(port, on_request=at_request(messages.CMD_WIPE, 1, pull_out)) as line:
            cut = cli(*wipe, line.path)
        assert cut.code == 1 and "plug it in again and run the same command" in cut.err
        assert not is_blank(cli, port)
        pulled = CutAtAnswer(messages.CMD_WIPE)
        with Line(port, clean, pulled.to_host, pulled.on_request) as line:
            cut = cli(*wipe, line.path)
        assert cut.code == 1 and "plug it in again and run the same command" in cut.err
        assert [event for event, _ in happened(cli, AN)] == ["wipe begun", "wipe begun"]
        wait_until(lambda: is_blank(cli, port))
        finished = cli(*wipe, port)
        assert (finished.code, finished.out.startswith("Wiped Bà An: ")) == (0, True)
    assert [event for event, _ in happened(cli, f"{AN} (wiped 1)")] == ["wipe begun", "wipe begun", "wiped"]


def test_pulled_out_while_it_writes_over_its_flash_it_is_wiped_all_the_same(
    clinic_of_an: Clinic, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_wipe, "GONE_AFTER_S", 1.0)
    monkeypatch.setattr(token_wipe, "TOLD_AFTER_S", 0.0)
    identity = clinic_of_an.auth_key(AN)

    def pulled_out_once_it_counts_as_wiped(_request: Message) -> bool:
        with open_registry(clinic_of_an.home) as registry, registry.read() as session:
            wiped = any(token.state == tokens.STATE_WIPED for token in tokens.all_tokens(session))
        if wiped:
            pull_out()
        return True

    with attached(clinic_of_an.fleet) as there:
        with Line(there.ports[AN], on_request=pulled_out_once_it_counts_as_wiped) as line:
            pulled = cli("token", "wipe", "--port", line.path, "--force", "--yes", "--json")
        assert (pulled.code, pulled.document()["erased"]) == (0, False)
        assert "which takes some minutes: leave it plugged in" in pulled.err
        assert "goes on by itself while it has power" in pulled.err
        wait_until(lambda: identity not in clinic_of_an.image(AN).read_bytes())


def test_a_blank_token_is_taken_for_one_that_was_told_to_forget_only_without_doubt(
    clinic: Clinic, cli: Cli, tmp_path: Path
) -> None:
    def begun(label: str) -> None:
        with open_registry(clinic.home) as registry, registry.write() as session:
            events.record(session, tokens.by_known_label(session, label), events.WIPE_BEGUN, int(time.time()))

    def refused(port: str) -> bool:
        ran = cli("token", "wipe", "--port", port, "--yes")
        return ran.code == 1 and "is blank: there is nothing to wipe" in ran.err

    with attached(tmp_path / "blank", 1) as there:
        port = there.ports["blank-1"]
        assert refused(port)
        begun(AN)
        begun(CU)
        assert refused(port)
        with open_registry(clinic.home) as registry, registry.write() as session:
            tokens.note_seen(session, tokens.by_known_label(session, AN), int(time.time()) + 1)  # it did not forget
            session.get_one(Token, tokens.by_known_label(session, CU).id).board = "another-board"
        assert refused(port)
        with open_registry(clinic.home) as registry, registry.write() as session:
            tokens.by_known_label(session, CU).board = "virtual"
        assert cli("token", "wipe", "--port", port, "--yes", "--json").document()["label"] == CU


def test_a_revoked_token_is_read_by_nobody_and_may_be_wiped(clinic_of_an: Clinic, cli: Cli) -> None:
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        cli("token", "revoke", AN, "--reason", "stolen")
        assert cli("token", "locate", "--port", port).out == f"{AN} shows itself for 30 s.\n"  # somebody looks for it
        for line in ("sync", "status", "notice set"):
            ran = cli(*line.split(), "--port", port)
            assert (ran.code, ran.out) == (1, "") and "This token was revoked: nothing was read" in ran.err
        assert clinic_of_an.stored(AN) == []
        wipe = cli("token", "wipe", "--port", port, "--yes")
        assert wipe.code == 1 and "add --force to lose them; nothing that it says is believed" in wipe.err
        assert "bztoken sync" not in wipe.err
        cli("token", "restore", AN)
        assert cli("sync", "--port", port).code == 0
        cli("token", "revoke", AN, "--reason", "broken")
        assert cli("token", "wipe", "--port", port, "--yes").code == 0
        assert is_blank(cli, port)
    assert [event for event, _ in happened(cli, f"{AN} (wiped 1)")] == [
        "revoked",
        "seen though revoked",  # three times within an hour
        "restored",
        "revoked",
        "wipe begun",
        "wiped",
    ]


def test_a_double_of_a_wiped_token_is_refused_and_may_be_wiped_too(clinic: Clinic, cli: Cli) -> None:
    shutil.copyfile(clinic.image(AN), clinic.image(CU))
    with attached(clinic.fleet) as there:
        one, double = there.ports[AN], there.ports[CU]
        assert cli("sync", "--port", one).code == 0
        assert cli("token", "wipe", "--port", one, "--yes").code == 0
        ran = cli("sync", "--port", double)
        assert ran.code == 1 and "was wiped but still holds its old identity: nothing was read" in ran.err
        wiped = cli("token", "wipe", "--port", double, "--force", "--yes", "--json")
        assert (wiped.code, wiped.document()["label"]) == (0, f"{AN} (wiped 1)")
        assert is_blank(cli, one) and is_blank(cli, double)
    labels = [token["label"] for token in cli("token", "list", "--json").document()["tokens"]]
    assert labels[0] == f"{AN} (wiped 1)" and CU in labels


def test_what_is_done_to_a_token_over_its_cable_is_in_its_story(clinic: Clinic, cli: Cli) -> None:
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        assert cli("token", "locate", "--port", port).out == "Bà An shows itself for 30 s.\n"
        assert cli("token", "locate", "--port", port, "--seconds", 0).out == "Bà An does not show itself any more.\n"
        cli("token", "config", "--port", port)
        cli("token", "config", "--port", port, "--profile", "windowed", "--retention", 20)
        cli("notice", "set", "--port", port)
        cli("sync", "--port", port)
        story = cli("token", "show", AN, "--port", port, "--json").document()
        assert [(event["event"], event["by"], event["detail"]) for event in story["events"]] == [
            ("settings", "desk 2", "windowed, 20 days"),
            ("settings", "desk 2", "notice set"),
        ]
        (sync,) = story["syncs"]
        status = story["status"]
        assert (sync["state"], sync["firmware"], sync["pages_new"]) == ("done", story["firmware"], story["pages"])
        assert story["battery_mv"] == sync["battery_mv"] == status["battery_mv"] > 3000
        assert story["flash_bytes"] == status["flash_bytes"] > story["flash_free_bytes"] > 0
        assert abs(story["last_seen_s"] - time.time()) < 60
        assert (status["slot"], status["on_trial"], status["update_result"]) == ("a", False, 0)
        out = cli("token", "show", AN, "--port", port).out
        assert "\nNow:\n" in out and "KiB free" in out and "never updated" in out
        other = cli("token", "show", AN, "--port", there.ports[CU])
        assert (other.code, other.out) == (1, "") and "is another one than the one with this label" in other.err


def test_firmware_that_cannot_forget_is_told_before_anything_is_recorded(
    clinic_of_an: Clinic, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    class UnknownToIt(requests.SealedRequest):
        """As LOCATE is to firmware 0.2."""

        _COMMAND_ID = UNKNOWN_COMMAND

    monkeypatch.setitem(requests.SEALED, messages.CMD_LOCATE, UnknownToIt)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        for line in ("token locate", "token wipe --force --yes", "token reissue --label X --force --yes"):
            ran = cli(*line.split(), "--port", port)
            assert (ran.code, ran.out) == (1, "") and "too old for this command: update it" in ran.err
        assert happened(cli, AN) == [] and not is_blank(cli, port)
