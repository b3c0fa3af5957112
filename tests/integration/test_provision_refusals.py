"""What is refused before a token is touched: wrong usage, files that cannot be written, boards that nobody may wear."""

from pathlib import Path

import pytest
from tests.integration.batch_desk import NAME, Running, labels, rows
from tests.integration.clinic import Attached, attached
from tests.integration.developers_board import developers_fleet
from tests.program import Program

from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.batch_labels import label_of
from bztoken.registry.database import open_registry


# -- refused before anything happens -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--batch B --labels {tmp}/no/l.pdf", 1, "no/l.pdf cannot be written (no such file or directory)"),
        ("--batch B --csv {tmp}", 1, "is no file"),
        ("--batch B --csv {tmp}/a --labels {tmp}/a", 2, "name the same file"),
        ("--batch B --labels {tmp}/l.pdf --sheet A4", 1, "there is no sheet A4"),
        ("--batch B --prefix yb-", 1, "a prefix has at most 6 capital letters"),
        ("--batch B --count 0", 2, "--count"),
        ("--batch B --role site", 1, "a site has a place"),
        ("--batch B --role keeper", 2, "a role is one of person, site"),
        ("--batch B --role site --place P --profile windowed", 2, "a site is always on"),
        ("--batch B --label L", 2, "a batch makes its labels itself"),
        ("--batch B --port {port}", 2, "say --port for one token, or --batch"),
        ("--port {port} --label L --role site", 2, "a site needs the name of its place"),
        ("--port {port} --label L --place P", 2, "only a site has a place"),
        ("--port {port} --label L --count 3", 2, "goes with --batch"),
        ("--port {port}", 2, "a token needs a label"),
        ("", 2, "say --port for one token, or --batch"),
    ],
)
def test_what_cannot_be_is_told_before_a_token_is_touched(
    home: Home, desk_cli: Program, two: Attached, tmp_path: Path, words: str, code: int, said: str
) -> None:
    port = two.ports["blank-1"]
    among_it = ("--among", port) if "--batch" in words and "--port" not in words else ()
    ran = desk_cli("provision", *words.format(tmp=tmp_path, port=port).split(), *among_it)
    assert (ran.code, ran.out) == (code, "") and said in " ".join(ran.err.replace("│", " ").split())
    assert rows(home) == [] and not list(tmp_path.glob("*.pdf")) and not list(tmp_path.glob(".*"))
    assert not desk_cli("info", "--port", port, "--json").document()["provisioned"]


def test_a_site_has_the_name_of_its_place(home: Home, desk_cli: Program, two: Attached) -> None:
    words = ("--label", "Cổng chợ", "--role", "site", "--place", " Chợ Yên Bái ")
    done = desk_cli("provision", "--port", two.ports["blank-1"], *words, "--json").document()
    assert (done["role"], done["place"]) == ("site", "Chợ Yên Bái")
    with open_registry(home) as registry, registry.read() as session:
        assert tokens.by_known_label(session, "Cổng chợ").place == "Chợ Yên Bái"


def test_a_developers_board_is_refused_unless_somebody_insists(home: Home, desk_cli: Program, tmp_path: Path) -> None:
    with attached(developers_fleet(tmp_path / "desk")) as there:
        port = there.ports["board"]
        assert desk_cli("info", "--port", port, "--json").document()["build"] == "development"
        ran = desk_cli("provision", "--port", port, "--label", "L")
        assert ran.code == 1 and "is a developer's: its cable leads to a prompt" in ran.err
        assert rows(home) == []
        run = Running(home, "--batch", NAME, "--json", "--among", port)
        assert run.next_document()["state"] == "failed"
        assert run.stop()[0] == 0 and rows(home) == []
        assert desk_cli("provision", "--port", port, "--label", "L", "--development").code == 0


def test_a_printed_label_that_is_typed_wrongly_is_given_to_no_token(
    home: Home, desk_cli: Program, two: Attached
) -> None:
    one, other = two.ports.values()
    assert desk_cli("provision", "--batch", NAME, "--prefix", "YB-", "--count", 1, "--among", one).code == 0
    ran = desk_cli("provision", "--port", other, "--label", "YB-0002-2")
    assert ran.code == 1 and "a digit is wrong, look at the label again" in ran.err
    assert not desk_cli("info", "--port", other, "--json").document()["provisioned"]
    assert (
        desk_cli("provision", "--port", other, "--label", "LC-0002-2").code == 0
    )  # of no batch: somebody's own numbers
    assert [row.label for row in rows(home)] == [label_of("YB-", 1), "LC-0002-2"]


def test_another_batch_name_is_needed_for_other_options(home: Home, desk_cli: Program, two: Attached) -> None:
    port = two.ports["blank-1"]
    assert desk_cli("provision", "--batch", NAME, "--prefix", "YB-", "--count", 1, "--among", port).code == 0
    ran = desk_cli("provision", "--batch", NAME, "--prefix", "LC-", "--count", 2, "--among", two.ports["blank-2"])
    assert ran.code == 1 and "begun with --prefix YB-, now it is LC-" in ran.err
    assert [row.label for row in rows(home)] == labels(1)
