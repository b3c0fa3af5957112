"""Contact histories: strict reading with line numbers, harmless variants accepted."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bztoken.errors import FormatError
from bztoken.formats import history
from bztoken.formats.history import HistoryLine, digest_of, read_history, write_history

OWN, CONTACT = "B9A665D754FE65E665D76A45", "286BCE589AB994EFA5F73CAD"
GOOD = f"{OWN}\t{CONTACT}\t-61\t1596887000123\n"


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "history.tsv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_line_is_read_as_uploaded(tmp_path: Path) -> None:
    line = HistoryLine(bytes.fromhex(OWN), bytes.fromhex(CONTACT), -61, 1596887000123)
    assert list(read_history(write(tmp_path, GOOD))) == [line]


def test_writing_gives_the_bytes_that_the_app_uploads(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD * 3)
    lines = list(read_history(path))
    write_history(tmp_path / "copy.tsv", lines)
    assert (tmp_path / "copy.tsv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "content", [GOOD.lower(), GOOD.replace("\n", "\r\n"), GOOD.rstrip("\n"), GOOD + "\n", GOOD + "\r\n"]
)
def test_harmless_variants_are_accepted(tmp_path: Path, content: str) -> None:
    assert len(list(read_history(write(tmp_path, content)))) == 1


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert list(read_history(write(tmp_path, ""))) == []


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (f"{OWN}\t{CONTACT}\t-61\n", "3 columns"),
        (f"{OWN}\t{CONTACT}\t-61\t1596887000123\tx\n", "5 columns"),
        (f"{OWN} {CONTACT} -61 1596887000123\n", "1 columns"),
        (f"{OWN[:-1]}\t{CONTACT}\t-61\t1596887000123\n", "own ID"),
        (f"{OWN}\t{CONTACT[:-1]}G\t-61\t1596887000123\n", "contact ID"),
        (f"{OWN}\t{CONTACT}00\t-61\t1596887000123\n", "contact ID"),
        (f"{OWN}\t{CONTACT}\t-6.1\t1596887000123\n", "RSSI"),
        (f"{OWN}\t{CONTACT}\t\t1596887000123\n", "RSSI"),
        (f"{OWN}\t{CONTACT}\t-128\t1596887000123\n", "-127 and 20"),
        (f"{OWN}\t{CONTACT}\t21\t1596887000123\n", "-127 and 20"),
        (f"{OWN}\t{CONTACT}\t-1000\t1596887000123\n", "-127 and 20"),
        (f"{OWN}\t{CONTACT}\t-61\t1596887000\n", "milliseconds"),
        (f"{OWN}\t{CONTACT}\t-61\t-1596887000123\n", "milliseconds"),
        (f"{OWN}\t{CONTACT}\t-61\tnow\n", "milliseconds"),
        (f"{OWN}\t{CONTACT}\t-61\t1196887000123\n", "2020"),
        ("\n" + GOOD, "empty"),
        ("x" * 100_000 + "\n", "too long"),
        ("\x00\xff\n", "columns"),
    ],
)
def test_a_wrong_line_is_told_by_number_and_never_quoted(tmp_path: Path, bad: str, problem: str) -> None:
    path = write(tmp_path, GOOD * 2 + bad)
    with pytest.raises(FormatError, match=problem) as caught:
        list(read_history(path))
    assert caught.value.line == 3
    assert "line 3" in str(caught.value) and OWN[:8] not in str(caught.value)


def test_a_file_cut_inside_its_last_line_is_refused(tmp_path: Path) -> None:
    for length in range(1, len(GOOD) - 1):
        with pytest.raises(FormatError) as caught:
            list(read_history(write(tmp_path, GOOD + GOOD[:length])))
        assert caught.value.line == 2


def test_a_file_that_never_ends_is_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_FILE_BYTES", 1024 * 1024)
    with pytest.raises(FormatError, match="longer than 1 MiB: it is no contact history"):
        digest_of(Path("/dev/zero"))
    longer = write(tmp_path, GOOD * (1024 * 1024 // len(GOOD) + 1))
    with pytest.raises(FormatError, match="longer than 1 MiB"):
        list(read_history(longer))
    whole = write(tmp_path, GOOD * 1000)
    assert digest_of(whole) == hashlib.sha256(whole.read_bytes()).digest() and len(list(read_history(whole))) == 1000


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp(), content)
    try:
        lines = list(read_history(path))
    except FormatError:
        return
    assert all(len(line.contact_id) == 12 for line in lines)
