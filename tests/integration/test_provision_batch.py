"""A hundred in a morning, here six: each label in the registry is the one that its token proves."""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.host.boards_elsewhere import put
from tests.integration.batch_desk import NAME, Running, among, labels, labels_proven, read_codes, read_list, rows
from tests.integration.clinic import Attached, attached
from tests.program import Program

from bztoken import boards
from bztoken.home import Home
from bztoken.provision import provision
from bztoken.registry.batch_labels import label_of
from bztoken.registry.database import create_registry
from bzvirtual import realtime


# -- all goes well -----------------------------------------------------------------------------------------------------
def test_six_at_once_get_their_numbers_labels_and_list(home: Home, six: Attached, tmp_path: Path) -> None:
    pdf, listed = tmp_path / "labels.pdf", tmp_path / "list.csv"
    ports = list(six.ports.values())
    words = ("--role", "site", "--place", "Chợ Yên Bái", "--prefix", "YB-", "--count", 6, "--scheme", "gaen")
    run = Running(home, "--batch", NAME, *words, "--labels", pdf, "--csv", listed, "--json", *among(ports))
    made = {document["port"]: document for document in (run.next_document() for _ in ports)}
    last = run.next_document()
    code, rest, _ = run.ended()
    assert (code, rest) == (0, "")
    assert last == {"batch": NAME, "tokens": 6, "unfinished": [], "labels": str(pdf), "csv": str(listed)}
    assert {document["state"] for document in made.values()} == {"provisioned"}
    assert sorted(row.label for row in rows(home)) == labels(6)
    assert labels_proven(home, ports) == [made[port]["label"] for port in ports]
    assert read_codes(pdf) == labels(6)
    assert [row["label"] for row in read_list(listed)] == labels(6)
    assert {(row["role"], row["place"], row["board"], row["scheme"]) for row in read_list(listed)} == {
        ("site", "Chợ Yên Bái", "virtual", "gaen")
    }


def test_ctrl_c_ends_a_batch_without_an_end_and_writes_its_files(home: Home, two: Attached, tmp_path: Path) -> None:
    pdf, listed = tmp_path / "labels.pdf", tmp_path / "list.csv"
    run = Running(
        home, "--batch", NAME, "--prefix", "YB-", "--labels", pdf, "--csv", listed, *among(list(two.ports.values()))
    )
    lines = sorted(run.next_line().split(": ")[1].split(" ")[0] for _ in range(2))
    code, rest, err = run.stop()
    assert (code, lines) == (0, labels(2)) and "2 tokens so far" in rest
    assert read_codes(pdf) == labels(2) and len(read_list(listed)) == 2
    assert "\x07" not in err  # nobody hears it in a pipe


def test_a_token_that_is_plugged_in_again_keeps_its_label_and_counts_once(home: Home, two: Attached) -> None:
    one, other = two.ports.values()
    words = ("--batch", NAME, "--prefix", "YB-", "--json")
    first = Running(home, *words, "--count", 1, "--among", one)
    assert first.next_document()["label"] == label_of("YB-", 1)
    assert first.ended()[0] == 0
    again = Running(home, *words, "--count", 2, "--among", one, "--among", other)
    said = sorted((document["label"], document["state"]) for document in (again.next_document() for _ in range(2)))
    assert said == [(label_of("YB-", 1), "of this batch"), (label_of("YB-", 2), "provisioned")]
    assert again.next_document()["tokens"] == 2 and again.ended()[0] == 0
    assert [row.label for row in rows(home)] == labels(2)


def test_tokens_that_have_a_place_elsewhere_are_left_alone(home: Home, tmp_path: Path) -> None:
    stranger = Home(tmp_path / "other")
    create_registry(stranger)
    with attached(tmp_path / "blank", 3) as there:
        ours, theirs, blank = there.ports.values()
        provision(home, ours, "Bà An")
        provision(stranger, theirs, "Bà Lan")
        run = Running(home, "--batch", NAME, "--prefix", "YB-", "--count", 1, "--json", *among([ours, theirs, blank]))
        said = {document["port"]: document for document in (run.next_document() for _ in range(3))}
        assert run.next_document()["tokens"] == 1 and run.ended()[0] == 0
        assert {said[port]["state"] for port in (ours, theirs)} == {"left alone"}
        assert (
            "has keys of this registry already" in said[ours]["problem"]
            and "and not to this one" in said[theirs]["problem"]
        )
        assert "Bà" not in said[ours]["problem"]
        assert labels_proven(home, [ours, blank]) == ["Bà An", label_of("YB-", 1)]
        assert labels_proven(stranger, [theirs]) == ["Bà Lan"]


# -- which is which ----------------------------------------------------------------------------------------------------
def blinked(folder: Path, token: str, for_s: float = 1.5) -> bool:
    """Whether its light changed meanwhile."""
    seen = set()
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        seen.add(str(realtime.order(folder, do="look", token=token)["pins"]))
        time.sleep(0.02)
    return len(seen) > 2


def test_tokens_that_are_done_show_themselves_in_turn(home: Home, two: Attached, tmp_path: Path) -> None:
    folder = tmp_path / "blank"
    patterns = ("--among", folder / "ports" / "*")
    pdf = tmp_path / "labels.pdf"
    run = Running(home, "--batch", NAME, "--prefix", "YB-", "--count", 2, "--labels", pdf, *patterns, on_terminal=True)
    token_of = {}
    for _ in range(2):
        port, label = run.next_line().split(" (")[0].split(": ")
        token_of[label] = f"blank-{port[-1]}"
    shown = run.shown("pull it out")
    first = shown.split("\x1b[2KStick label ")[1].split(" ")[0]  # on a line of its own
    assert f"2 of 2 provisioned · {first} blinks" in run.shown("2 of 2 provisioned ·")  # stays in sight
    assert "2 tokens so far" in run.next_line()
    assert read_codes(pdf) == labels(2)  # to be printed while they wait
    second = next(label for label in token_of if label != first)
    assert blinked(folder, token_of[first]) and not blinked(folder, token_of[second])
    assert f"Stick label {second}" not in run.shown("pull it out")
    two.order("unplug", token_of[first])
    run.shown(f"Stick label {second}")
    assert blinked(folder, token_of[second])
    two.order("unplug", token_of[second])
    assert run.ended()[0] == 0
    two.order("plug", token_of[second])  # to be labelled later, when the sheet is printed
    again = Running(home, "--batch", NAME, "--count", 2, *patterns, "--label-now", on_terminal=True)
    again.shown(f"Stick label {second}")
    assert again.stop()[0] == 0


def test_a_token_that_is_pulled_out_before_its_turn_is_told_by_that(home: Home, two: Attached, tmp_path: Path) -> None:
    patterns = ("--among", tmp_path / "blank" / "ports" / "*")
    run = Running(home, "--batch", NAME, "--prefix", "YB-", "--count", 2, *patterns, on_terminal=True)
    port_of = dict(reversed(run.next_line().split(" (")[0].split(": ")) for _ in range(2))
    first = run.shown("pull it out").split("Stick label ")[1].split(" ")[0]
    second = next(label for label in port_of if label != first)
    two.order("unplug", f"blank-{port_of[second][-1]}")
    run.shown(f"Stick label {second} on the token that was pulled out just now")
    two.order("unplug", f"blank-{port_of[first][-1]}")
    code, _, shown = run.ended()
    assert code == 0 and f"Stick label {second} on the token that blinks" not in shown


def take_out_the_light(description: dict[str, Any]) -> None:
    del description["light"], description["sources"]["light"]


def test_tokens_without_a_light_are_told_apart_by_pulling_them_out(
    home: Home, two: Attached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "boards", "virtual", change=take_out_the_light)
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path / "boards"))
    patterns = ("--among", tmp_path / "blank" / "ports" / "*")
    run = Running(home, "--batch", NAME, "--prefix", "YB-", "--count", 2, *patterns, on_terminal=True)
    port_of = dict(reversed(run.next_line().split(" (")[0].split(": ")) for _ in range(2))
    run.shown("These tokens have no light")
    assert "2 tokens so far" in run.next_line()
    for label, port in sorted(port_of.items(), reverse=True):
        two.order("unplug", f"blank-{port[-1]}")
        assert "that blinks" not in run.shown(f"Stick label {label} on the token that was pulled out just now")
    assert run.ended()[0] == 0


# -- two programs at once ----------------------------------------------------------------------------------------------
def test_two_programs_at_once_give_no_number_twice(home: Home, six: Attached) -> None:
    ports = list(six.ports.values())
    desks = [
        Running(home, "--batch", name, "--prefix", "YB-", "--count", 3, "--json", *among(mine))
        for name, mine in (("one", ports[:3]), ("other", ports[3:]))
    ]
    for desk in desks:
        assert [desk.next_document()["state"] for _ in range(3)] == ["provisioned"] * 3
        assert desk.next_document()["tokens"] == 3 and desk.ended()[0] == 0
    assert sorted(labels_proven(home, ports)) == labels(6)


def test_one_batch_is_worked_at_by_one_program(home: Home, desk_cli: Program, two: Attached) -> None:
    one, other = two.ports.values()
    run = Running(home, "--batch", NAME, "--prefix", "YB-", "--json", "--among", one)
    run.next_line()
    ran = desk_cli("provision", "--batch", NAME, "--count", 5, "--among", other)
    assert ran.code == 1 and "another program on this computer works at this batch" in ran.err
    assert run.stop()[0] == 0
    assert desk_cli("provision", "--batch", NAME, "--count", 2, "--among", other).code == 0
    full = desk_cli("provision", "--batch", NAME, "--count", 2, "--among", other)
    assert full.code == 0 and "This batch has its 2 tokens: raise --count for more" in full.err
    assert "Waiting" not in full.err
    assert sorted(row.label for row in rows(home)) == labels(2)
