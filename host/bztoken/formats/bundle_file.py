"""Writes and reads the file in which a courier's computer brings tokens' pages to the clinic: framed CBOR items, signed
at the end. Item by item, section by section; nothing here knows what the pages hold, nor any key of a token.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bztoken.errors import FormatError
from bztoken.formats.bundle import (
    CLOCK,
    CLOCK_COLUMNS,
    END,
    HEADER,
    LENGTH,
    MAGIC,
    MAX_ITEM_BYTES,
    MAX_MADE_AT_S,
    MAX_SECTIONS,
    PAGE,
    RANDOM_BYTES,
    SECTION_PAGES,
    SECTION_ROWS,
    SIGNATURE,
    SIGNED_AS,
    SYNC,
    SYNC_COLUMNS,
    TOKEN,
    VERSION,
    Counts,
    Header,
    Row,
    Section,
    is_bytes,
    is_integer,
    row_fits,
)
from bzwire import cbor
from bzwire.errors import WireError
from bzwire.keys import UID_BYTES
from bzwire.messages import COURIER_ID_BYTES
from bzwire.page import check_page


class BundleWriter:
    """Writes one bundle to an open file. Call `token`, then its rows and pages, token by token, then `finish`."""

    def __init__(self, file: BinaryIO, signing_key: Ed25519PrivateKey, header: Header, random: bytes) -> None:
        self._file = file
        self._signing_key = signing_key
        self._hash = hashlib.sha256()
        self._uid = b""
        self._counts = dict.fromkeys((TOKEN, SYNC, CLOCK, PAGE), 0)
        self._rows_here = 0  # syncs and clock readings
        self._pages_here = 0
        self._put(MAGIC)
        self._item(HEADER, VERSION, header.courier_number, header.made_at_s, random)

    def token(self, uid: bytes) -> None:
        """What follows is this token's."""
        self._uid = uid
        self._rows_here = 0
        self._pages_here = 0
        self._item(TOKEN, uid)

    def sync(self, row: Row) -> None:
        """One cable connection."""
        self._row(SYNC, row)

    def reading(self, row: Row) -> None:
        """One reading of the token's clock."""
        self._row(CLOCK, row)

    def page(self, raw: bytes) -> None:
        """One page, as the token wrote it."""
        if self._pages_here == SECTION_PAGES:
            self.token(self._uid)
        self._pages_here += 1
        self._item(PAGE, hashlib.sha256(raw).digest(), raw)

    def _row(self, kind: int, row: Row) -> None:
        if self._rows_here == SECTION_ROWS:
            self.token(self._uid)
        self._rows_here += 1
        self._item(kind, row)

    def finish(self) -> Counts:
        """Write end and signature; what the bundle holds."""
        counts = Counts(*self._counts.values())
        self._item(END, *counts)
        self._item(SIGNATURE, self._signing_key.sign(SIGNED_AS + self._hash.digest()))
        return counts

    def _item(self, kind: int, *fields: Any) -> None:
        if kind in self._counts:
            self._counts[kind] += 1
        content = cbor.dumps((kind, *fields))
        self._put(LENGTH.pack(len(content)) + content)

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)


class BundleReader:
    """Reads one bundle from an open file, from its beginning. `header` is there at once, `sections` give the rest.

    Every method raises FormatError for a file, `path`, that is no whole bundle; what the signature is worth, only
    `require_signature` tells, after the last section.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._hash = hashlib.sha256()
        self._signed = b""
        self._signature = b""
        self.counts = Counts()
        file.seek(0)
        if self._take(len(MAGIC)) != MAGIC:
            raise self._wrong("not a courier's bundle")
        self.header = self._header()

    def sections(self) -> Iterator[Section]:
        """In the order of the file; its end is checked before the iteration ends."""
        items = self._items()
        item = next(items)
        while item[0] == TOKEN:
            section, item = self._section(item, items)
            self.counts = self.counts.plus(section)
            if self.counts.sections > MAX_SECTIONS:
                raise self._wrong(f"it has more than {MAX_SECTIONS} sections: split it")
            yield section
        self._end(item)

    def require_signature(self, public_key: bytes) -> None:
        """Raises FormatError unless the holder of the key signed every byte that was read."""
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self._signature, SIGNED_AS + self._signed)
        except (InvalidSignature, ValueError):
            raise self._wrong(
                "its signature is not the courier's: somebody changed the file or wrote it in the courier's name; "
                "nothing was stored, let the courier write it anew"
            ) from None

    # -- items ---------------------------------------------------------------------------------------------------------
    def _wrong(self, problem: str) -> FormatError:
        return FormatError(self.path, None, problem)

    def _damaged(self) -> FormatError:
        return self._wrong("the bundle is damaged: copy it again from the courier's computer, nothing was stored")

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise self._wrong("the bundle is cut short: copy it again from the courier's computer, nothing was stored")
        self._hash.update(data)
        return data

    def _item(self) -> tuple[int, list[Any]]:
        """(kind, fields) of the next item."""
        (length,) = LENGTH.unpack(self._take(LENGTH.size))
        if not 1 <= length <= MAX_ITEM_BYTES:
            raise self._damaged()
        try:
            content = cbor.loads(self._take(length))
        except WireError:
            raise self._damaged() from None
        if not isinstance(content, list) or not content or type(content[0]) is not int:
            raise self._damaged()
        return content[0], content[1:]

    def _items(self) -> Iterator[tuple[int, list[Any]]]:
        while True:
            yield self._item()

    def _header(self) -> Header:
        kind, fields = self._item()
        if kind != HEADER or len(fields) < 1:
            raise self._damaged()
        if fields[0] != VERSION:
            raise self._wrong("the bundle was made by a newer version: update this program")
        if len(fields) != 4 or not is_bytes(fields[1], COURIER_ID_BYTES) or not is_bytes(fields[3], RANDOM_BYTES):
            raise self._damaged()
        if not is_integer(fields[2]) or not 0 <= fields[2] <= MAX_MADE_AT_S:
            raise self._damaged()
        return Header(fields[1], fields[2])

    def _section(
        self, first: tuple[int, list[Any]], items: Iterator[tuple[int, list[Any]]]
    ) -> tuple[Section, tuple[int, list[Any]]]:
        """A section and the item behind it."""
        if len(first[1]) != 1 or not is_bytes(first[1][0], UID_BYTES):
            raise self._damaged()
        section = Section(first[1][0])
        digest = hashlib.sha256(section.uid)
        for kind, fields in items:
            if kind not in (SYNC, CLOCK, PAGE):
                section.digest = digest.digest()
                return section, (kind, fields)
            self._add(section, kind, fields)
            digest.update(cbor.dumps([kind, *fields]))
        raise AssertionError("items never end by themselves")

    def _add(self, section: Section, kind: int, fields: list[Any]) -> None:
        if kind == PAGE:
            if len(fields) != 2 or not isinstance(fields[1], bytes) or len(section.pages) >= SECTION_PAGES:
                raise self._damaged()
            self._require_page(fields[0], fields[1])
            section.pages.append(fields[1])
            return
        columns, rows = (SYNC_COLUMNS, section.syncs) if kind == SYNC else (CLOCK_COLUMNS, section.readings)
        if len(fields) != 1 or not row_fits(fields[0], columns) or len(rows) >= SECTION_ROWS:
            raise self._damaged()
        rows.append(fields[0])

    def _require_page(self, digest: object, raw: bytes) -> None:
        try:
            whole = digest == hashlib.sha256(raw).digest() and check_page(raw).length == len(raw)
        except WireError:
            whole = False
        if not whole:
            raise self._damaged()

    def _end(self, item: tuple[int, list[Any]]) -> None:
        if item[0] != END or item[1] != list(self.counts):
            raise self._damaged()
        self._signed = self._hash.digest()
        kind, fields = self._item()
        if kind != SIGNATURE or len(fields) != 1 or not isinstance(fields[0], bytes):
            raise self._damaged()
        self._signature = fields[0]
        if self._file.read(1):
            raise self._damaged()
