"""`bztoken leaflet`: for a label, a batch or a board; what cannot be printed leaves nothing behind."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from tests.host.leaflet_pages import Sheet
from tests.program import Program

from bztoken.home import Home
from bztoken.registry import events, provision_batches, tokens
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import Token
from bztoken.registry.provision_batches import BatchOptions, in_detail

NOW_S = 1_790_000_000
BATCH = "2026-11-24 Yên Bình"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "leaflet.pdf"


@pytest.fixture
def stocked(home: Home) -> Iterator[Home]:
    """Two tokens of a batch, one with a label of its own, a site's, and one that was wiped."""
    create_registry(home)
    with open_registry(home) as registry, registry.write() as session:
        batch = provision_batches.begin(session, BATCH, BatchOptions(prefix="YB-"), NOW_S)
        for uid in (b"1" * 8, b"2" * 8):
            token = provision_batches.reserve(session, batch, uid, "virtual", NOW_S)
            token.state = tokens.STATE_ACTIVE
            _provisioned(session, token, "windowed")
        provision_batches.begin(session, "none yet", BatchOptions(), NOW_S)
        _provisioned(session, tokens.create(session, "Bà Lan", b"3" * 8, "person", "xiao-esp32s3", NOW_S), None)
        tokens.create(session, "Chợ Đông", b"4" * 8, "site", "virtual", NOW_S)
        tokens.create(session, "T-old", b"5" * 8, "person", "virtual", NOW_S).state = tokens.STATE_WIPED
        tokens.create(session, "T-board", b"6" * 8, "person", "no-such-board", NOW_S)
    yield home


def _provisioned(session: Session, token: Token, profile: str | None) -> None:
    events.record(session, token, events.PROVISIONED, NOW_S, in_detail("0.1.0", profile, None))


def test_a_batch_is_a_page_each_as_its_tokens_were_provisioned(cli: Program, stocked: Home, out: Path) -> None:
    ran = cli("leaflet", "--out", out, "--batch", BATCH, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.document() == {"file": str(out), "pages": 2, "languages": ["vi", "en"]}
    pages = [Sheet(out.read_bytes(), number) for number in range(2)]
    assert [page.codes() for page in pages] == [["YB-0001-3"], ["YB-0002-1"]]
    assert all("the battery lasts only days" in page.text() for page in pages)


def test_a_label_takes_board_and_profile_from_what_is_known_of_the_token(
    cli: Program, stocked: Home, out: Path
) -> None:
    ran = cli("leaflet", "--out", out, "--label", "Bà Lan", "--lang", "en", "--contact", "Clinic Yên Bình, 0293 1")
    assert (ran.code, ran.out) == (0, f"Wrote {out}: 1 page in en.\n")
    text = Sheet(out.read_bytes()).text()
    assert "Blinks once a minute" in text  # of the board's single light
    assert "the battery lasts only days" in text  # the board's usual profile
    assert text.endswith("For help, call: Clinic Yên Bình, 0293 1")


def test_board_and_profile_may_be_named(cli: Program, stocked: Home, out: Path) -> None:
    arguments = ("--board", "virtual", "--profile", "continuous", "--lang", "en")
    assert cli("leaflet", "--out", out, "--label", "Bà Lan", *arguments).code == 0
    text = Sheet(out.read_bytes()).text()
    assert "Green, once a minute" in text and "the battery lasts only days" not in text


def test_a_board_alone_needs_no_registry(cli: Program, out: Path) -> None:
    assert cli("leaflet", "--out", out, "--board", "m5stickc-plus2").code == 0
    assert Sheet(out.read_bytes()).codes() == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "give --label, --batch or --board"),
        (("--label", "Bà Lan", "--batch", BATCH), 2, "not both"),
        (("--board", "virtual", "--profile", "fast"), 2, "fast"),
        (("--board", "none"), 1, "There is no board 'none'"),
        (("--board", "virtual", "--lang", "vi,fr"), 1, "no page in the language fr"),
        (("--board", "virtual", "--contact", "a\nb"), 1, "letters that the typeface lacks"),
        (("--label", "T-404"), 1, "no token of this registry has this label"),
        (("--label", "YB-0017-5"), 1, "a digit is wrong"),
        (("--label", "T-old"), 1, "this token was wiped"),
        (("--label", "Chợ Đông"), 1, "this page is for people"),
        (("--label", "T-board"), 1, "There is no board 'no-such-board'"),
        (("--batch", "nowhere"), 1, "no batch of this registry has this name"),
        (("--batch", "none yet"), 1, "this batch has no token yet"),
    ],
)
def test_what_cannot_be_printed_is_one_sentence_and_no_file(
    cli: Program, stocked: Home, out: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    ran = cli("leaflet", "--out", out, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert sentence in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    assert list(out.parent.iterdir()) == []


def test_a_page_that_was_there_stays_when_the_new_one_cannot_be_made(cli: Program, out: Path) -> None:
    out.write_bytes(b"before")
    assert cli("leaflet", "--out", out, "--board", "virtual", "--contact", "long " * 200).code == 1
    assert (out.read_bytes(), os.listdir(out.parent)) == (b"before", [out.name])
    assert cli("leaflet", "--out", out, "--board", "virtual").code == 0
    assert out.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("place", ["", "missing/leaflet.pdf"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_drawn(cli: Program, out: Path, place: str) -> None:
    ran = cli("leaflet", "--out", out.parent / place, "--board", "virtual")
    assert ran.code == 1
    assert "is no file" in ran.err or "cannot be written" in ran.err
    assert list(out.parent.iterdir()) == []


def test_a_couriers_computer_prints_no_labels(cli: Program, home: Home, out: Path) -> None:
    home.path.mkdir()
    home.courier_pass_path.write_bytes(b"")
    ran = cli("leaflet", "--out", out, "--label", "T-1")
    assert (ran.code, out.exists()) == (1, False)
    assert "courier's computer" in ran.err
