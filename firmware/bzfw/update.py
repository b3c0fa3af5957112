"""Takes a new application into the slot that does not run. Loaded for the time of an update only.

Nothing written here can be booted before FINISH has read it back from flash and found the digest that the station
announced under the token's own key. State is in RAM: a session may end and go on, a restart begins anew.
"""

import gc
import os
import struct
import sys
from hashlib import sha256

from micropython import const

from bzwire import archive, keys
from bzwire.errors import (
    RC_BAD_ARCHIVE,
    RC_BAD_MAC,
    RC_BAD_REQUEST,
    RC_OLDER,
    RC_STORAGE,
    RC_WRONG_BUILD,
    WireError,
)
from bzwire.messages import field_bytes, field_int

from . import VERSION, files, slots
from .session import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from .device import Device

    Fields = dict[str, Any]

_DIGEST_BYTES = const(32)
_BUFFER_BYTES = const(256)
# A file takes whole blocks of 4 KiB: an application of many small files takes up to three times its bytes.
_ROOM_TIMES = const(3)
_ROOM_FOR_LOG_BYTES = const(64 * 1024)  # the log must not give up days for an update


class Transfer:
    """One archive on its way; also the sink of its reader. offset: bytes taken so far."""

    def __init__(self, digest: bytes, size: int, version: str) -> None:
        self.digest = digest
        self.size = size
        self.offset = 0
        self.folder = slots.FOLDERS[1 - slots.running()]
        self._version = version
        self._reader = archive.Reader(self)
        self._parts: "BinaryIO | None" = None
        self._file: "BinaryIO | None" = None

    def take(self, data: bytes) -> None:
        """The next bytes of the archive. Raises WireError, Refusal or OSError: the transfer is over then."""
        if self.offset + len(data) > self.size:
            raise Refusal(RC_BAD_ARCHIVE)
        self._reader.feed(data)
        self.offset += len(data)

    # -- what the reader finds ----------------------------------------------------------------------------------------
    def begin(self, raw: bytes, version: str, build: int) -> None:
        """The archive's header."""
        own = getattr(sys.implementation, "_mpy", 0)
        if (build ^ own) & archive.BUILD_MASK:
            raise Refusal(RC_WRONG_BUILD)
        if version != self._version:
            raise Refusal(RC_BAD_ARCHIVE)
        files.make_folder(self.folder)
        for name in archive.FOLDERS:
            files.make_folder(self.folder + "/" + name)
        self._parts = open(self.folder + slots.PARTS, "wb")
        self._parts.write(raw)

    def begin_file(self, raw: bytes, name: str) -> None:
        """The next file; its head goes where the reading back finds it."""
        self._close_file()
        self._parts.write(raw)  # type: ignore[union-attr] # the header came first
        self._file = open(self.folder + "/" + name, "wb")

    def content(self, data: memoryview) -> None:
        """Some of its bytes."""
        self._file.write(data)  # type: ignore[union-attr] # its head came first

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """No more bytes. Raises OSError."""
        self._close_file()
        if self._parts is not None:
            self._parts.close()
            self._parts = None

    def is_right(self, hal: "Any") -> bool:
        """True when what lies in flash, read back, is the archive that was announced."""
        return self._reader.is_done() and self.offset == self.size and self._digest_in_flash(hal) == self.digest

    def _digest_in_flash(self, hal: "Any") -> bytes:
        digest = sha256()
        buffer = bytearray(_BUFFER_BYTES)
        with open(self.folder + slots.PARTS, "rb") as parts:
            head = parts.read(archive.PREFIX_BYTES)
            digest.update(head)
            digest.update(parts.read(struct.unpack(archive.PREFIX, head)[2]))
            while True:
                size = parts.read(1)
                if not size:
                    return digest.digest()
                rest = parts.read(size[0] + 4)
                digest.update(size)
                digest.update(rest)
                with open(self.folder + "/" + rest[:-4].decode(), "rb") as file:
                    _digest_file(digest, file, buffer)
                hal.feed_watchdog()


def _digest_file(digest: "Any", file: "Any", buffer: bytearray) -> None:
    while True:
        count = file.readinto(buffer)
        if not count:
            return
        digest.update(memoryview(buffer)[:count])


def _give_up(token: "Device") -> None:
    transfer, token.update = token.update, None
    if transfer is not None:
        try:
            transfer.close()
            slots.empty(transfer.folder)
        except OSError:  # the next one empties the slot before it begins
            return


def begin(token: "Device", fields: "Fields") -> "Fields":
    """UPDATE_BEGIN."""
    digest = field_bytes(fields, "dg", _DIGEST_BYTES)
    size = field_int(fields, "sz", 1, archive.MAX_ARCHIVE_BYTES)
    forced = field_int(fields, "fo", 0, 1)
    mac = field_bytes(fields, "m", keys.KEY_BYTES)
    version = fields.get("v")
    numbers = archive.parse_version(version)
    if token.identity is None or not keys.same(
        keys.update_mac(token.identity.auth_key, digest, size, bool(forced), str(version)), mac
    ):
        raise Refusal(RC_BAD_MAC)
    if numbers < archive.parse_version(VERSION) and not forced:
        raise Refusal(RC_OLDER)
    if token.update is None or (token.update.digest, token.update.size) != (digest, size):
        _begin_anew(token, Transfer(digest, size, str(version)))
    return {"o": token.update.offset if token.update else 0}


def _begin_anew(token: "Device", transfer: Transfer) -> None:
    _give_up(token)
    gc.collect()
    slots.empty(transfer.folder)
    token.hal.feed_watchdog()
    volume = os.statvfs("/")
    if volume[0] * volume[3] < transfer.size * _ROOM_TIMES + _ROOM_FOR_LOG_BYTES:
        raise Refusal(RC_STORAGE)
    token.update = transfer


def write(token: "Device", fields: "Fields") -> "Fields":
    """UPDATE_WRITE."""
    transfer = token.update
    offset = field_int(fields, "o", 0, archive.MAX_ARCHIVE_BYTES)
    data = fields.get("d")
    if transfer is None or not isinstance(data, bytes):
        raise Refusal(RC_BAD_REQUEST)
    if offset == transfer.offset:
        try:
            transfer.take(data)
        except Exception as error:  # noqa: BLE001 - whatever it was, half of a piece may be written
            _give_up(token)
            if isinstance(error, WireError):
                raise Refusal(RC_BAD_ARCHIVE)
            raise
    return {"o": transfer.offset}


def finish(token: "Device", fields: "Fields") -> "Fields":
    """UPDATE_FINISH: the one rename in `slots.try_other` is the switch."""
    transfer = token.update
    if transfer is None:
        raise Refusal(RC_BAD_REQUEST)
    try:
        transfer.close()
        right = transfer.is_right(token.hal)
    except OSError:
        _give_up(token)
        raise
    if not right:
        _give_up(token)
        raise Refusal(RC_BAD_ARCHIVE)
    token.update = None
    slots.try_other()
    token.restart_wanted = True
    return {}
