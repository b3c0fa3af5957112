"""The reader of application archives: what was packed comes out, in any pieces; what is no archive is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bztoken.formats.application_archive import pack
from bzwire import archive, cbor
from bzwire.errors import Malformed, OutOfRange, WireError

BUILD = 0x0B06
NAMES = st.builds(
    lambda folder, stem: f"{folder}/{stem}.mpy",
    st.sampled_from(archive.FOLDERS),
    st.text("abcxyz0189_", min_size=1, max_size=20),
)
FILES = st.dictionaries(NAMES, st.binary(max_size=400), min_size=1, max_size=6)


class Taken:
    """Keeps what a reader gives."""

    def __init__(self) -> None:
        self.head: tuple[str, int] | None = None
        self.files: dict[str, bytes] = {}
        self.raw = b""  # everything, put together again
        self._name = ""

    def begin(self, raw: bytes, version: str, build: int) -> None:
        assert self.head is None
        self.head = (version, build)
        self.raw += raw

    def begin_file(self, raw: bytes, name: str) -> None:
        self._name = name
        self.files[name] = b""
        self.raw += raw

    def content(self, data: memoryview) -> None:
        self.files[self._name] += bytes(data)
        self.raw += bytes(data)


def read(stream: bytes, piece_bytes: int = 1 << 20) -> tuple[Taken, bool]:
    taken = Taken()
    reader = archive.Reader(taken)
    for at in range(0, len(stream), piece_bytes):
        reader.feed(stream[at : at + piece_bytes])
    return taken, reader.is_done()


@given(FILES, st.integers(1, 200))
def test_what_was_packed_comes_out_in_any_pieces(files: dict[str, bytes], piece_bytes: int) -> None:
    stream = pack("1.20.300", BUILD, files)
    taken, done = read(stream, piece_bytes)
    assert done
    assert taken.head == ("1.20.300", BUILD)
    assert taken.files == files
    assert taken.raw == stream  # what the token reads back can be held against the digest


@given(FILES, st.data())
def test_an_archive_cut_short_is_never_done(files: dict[str, bytes], data: st.DataObject) -> None:
    stream = pack("1.0.0", BUILD, files)
    _, done = read(stream[: data.draw(st.integers(0, len(stream) - 1))])
    assert not done


@given(FILES)
def test_a_byte_after_the_end_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(Malformed):
        read(pack("1.0.0", BUILD, files) + b"\x00")


@settings(max_examples=300)
@given(FILES, st.data())
def test_a_changed_bit_is_refused_or_changes_what_comes_out(files: dict[str, bytes], data: st.DataObject) -> None:
    stream = bytearray(pack("1.0.0", BUILD, files))
    bit = data.draw(st.integers(0, len(stream) * 8 - 1))
    stream[bit // 8] ^= 1 << bit % 8
    try:
        taken, done = read(bytes(stream))
    except WireError:
        return
    assert not done or (taken.head, taken.files) != (("1.0.0", BUILD), files)
    assert not done or taken.raw == stream


@given(st.binary(max_size=300))
def test_rubbish_raises_nothing_but_wire_errors(rubbish: bytes) -> None:
    for stream in (rubbish, pack("1.0.0", BUILD, {"bzfw/a.mpy": b"x"})[:30] + rubbish):
        try:
            read(stream)
        except WireError:
            continue


BAD_NAMES = (
    "bzfw/../app.mpy", "/bzfw/app.mpy", "bzfw//app.mpy", "bzfw/a/b.mpy", "bzfw/.mpy", "bzfw/app.py", "bzfw/App.mpy",
    "lib/app.mpy", "app.mpy", "bzfw/app.mpy/", "bzfw/ä.mpy", "bzfw/" + "a" * 40 + ".mpy", "", "bzfw\x00/a.mpy",
)  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_none_of_an_application_are_refused(name: str) -> None:
    with pytest.raises(Malformed):
        archive.check_name(name)
    with pytest.raises(Malformed):
        pack("1.0.0", BUILD, {name: b"x"})


def entry(name: str, length: int = 1, content: bytes = b"x") -> bytes:
    return bytes([len(name)]) + name.encode() + length.to_bytes(4, "big") + content


def head(fields: dict[str, object]) -> bytes:
    header = cbor.dumps(fields)
    return archive.MAGIC + bytes([archive.FORMAT]) + len(header).to_bytes(2, "big") + header


RIGHT = {"v": "1.0.0", "m": BUILD, "n": 2}


@pytest.mark.parametrize(
    "stream",
    [
        b"XZAP\x01\x00\x08" + bytes(8),
        b"BZAP\x02\x00\x08" + bytes(8),
        b"BZAP\x01\x00\x00" + bytes(8),
        b"BZAP\x01\xff\xff" + bytes(8),
        b"BZAP\x01\x00\x01\x80",
        head(RIGHT | {"v": "1.0"}),
        head(RIGHT | {"v": 1}),
        head(RIGHT | {"m": "x"}),
        head(RIGHT | {"n": 0}),
        head(RIGHT | {"n": archive.MAX_FILES + 1}),
        head(RIGHT) + entry("bzfw/b.mpy") + entry("bzfw/b.mpy"),
        head(RIGHT) + entry("bzfw/b.mpy") + entry("bzfw/a.mpy"),
        head(RIGHT) + entry("bzfw/../b.mpy"),
        head(RIGHT) + entry("bzfw/b.mpy", archive.MAX_FILE_BYTES + 1),
        head(RIGHT) + b"\x00",
        head(RIGHT) + b"\xff" + bytes(300),
        head(RIGHT) + b"\x0abzfw/\xff.mpy" + bytes(4),
    ],
)
def test_streams_that_break_the_format_are_refused(stream: bytes) -> None:
    with pytest.raises(WireError):
        read(stream)


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.3.4", "1.2.x", "1..2", "-1.0.0", "1.2.٣", "1.2.999999", None, 3])
def test_versions_have_three_numbers(text: object) -> None:
    with pytest.raises(Malformed):
        archive.parse_version(text)


def test_versions_are_ordered_as_numbers() -> None:
    assert archive.parse_version("0.10.0") > archive.parse_version("0.9.12")


def test_what_no_token_takes_is_not_packed() -> None:
    many = {f"bzfw/m{number}.mpy": b"" for number in range(archive.MAX_FILES + 1)}
    for files in ({}, many, {"bzfw/a.mpy": bytes(archive.MAX_FILE_BYTES + 1)}):
        with pytest.raises(OutOfRange):
            pack("1.0.0", BUILD, files)
    with pytest.raises(OutOfRange):
        pack("1.0.0", 1 << 16, {"bzfw/a.mpy": b""})
    too_much = {f"bzfw/m{number}.mpy": bytes(archive.MAX_FILE_BYTES) for number in range(9)}
    with pytest.raises(OutOfRange):
        pack("1.0.0", BUILD, too_much)
