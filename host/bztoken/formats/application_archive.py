"""Application archives as files: packing, the seal behind what a token gets, and everything that can be told of one.

A file is the stream of bzwire.archive, then the seal: the Ed25519 public key of who signed (32 bytes) and the
signature over everything before it (64 bytes).
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bztoken.errors import FormatError
from bzwire import archive, cbor
from bzwire.errors import OutOfRange, WireError

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
SEAL_BYTES = PUBLIC_KEY_BYTES + SIGNATURE_BYTES
MAX_FILE_BYTES = archive.MAX_ARCHIVE_BYTES + SEAL_BYTES


class Signature(StrEnum):
    """What the seal of an archive is worth on this computer."""

    VALID = "valid"
    INVALID = "invalid"  # changed after it was signed
    UNVERIFIED = "unverified"  # whole, but signed with a key that nobody trusted here


@dataclass(frozen=True)
class Archive:
    """stream: what a token gets; files: name to length."""

    path: Path
    version: str
    build: int
    files: Mapping[str, int]
    stream: bytes
    signer: bytes
    is_whole: bool  # the signature fits

    @property
    def digest(self) -> bytes:
        """What a token holds the archive against."""
        return hashlib.sha256(self.stream).digest()

    def signature(self, trusted: frozenset[bytes]) -> Signature:
        """By the public keys that are trusted."""
        if not self.is_whole:
            return Signature.INVALID
        return Signature.VALID if self.signer in trusted else Signature.UNVERIFIED


def pack(version: str, build: int, files: Mapping[str, bytes]) -> bytes:
    """The stream of an application. Raises WireError for a name, a size or a number that no token takes."""
    archive.parse_version(version)
    if not 0 < len(files) <= archive.MAX_FILES or not 0 <= build <= archive.BUILD_MASK:
        raise OutOfRange("archive header out of range")
    header = cbor.dumps({"v": version, "m": build, "n": len(files)})
    parts = [struct.pack(archive.PREFIX, archive.MAGIC, archive.FORMAT, len(header)), header]
    for name, content in sorted(files.items()):
        archive.check_name(name)
        if len(content) > archive.MAX_FILE_BYTES:
            raise OutOfRange("file too long for an archive")
        parts += [bytes([len(name)]), name.encode(), struct.pack(">I", len(content)), content]
    stream = b"".join(parts)
    if len(stream) > archive.MAX_ARCHIVE_BYTES:
        raise OutOfRange("application too long for an archive")
    return stream


def seal(stream: bytes, key: Ed25519PrivateKey) -> bytes:
    """The content of an archive's file."""
    signed = stream + key.public_key().public_bytes_raw()
    return signed + key.sign(signed)


def read(path: Path) -> Archive:
    """Raises FormatError for what is no archive, or one cut short; a wrong signature is told by `signature`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FormatError(
            path, None, f"the file cannot be read ({(error.strerror or 'no reason given').lower()})"
        ) from None
    if len(raw) > MAX_FILE_BYTES:
        raise FormatError(path, None, "the file is too long for an application archive: name another one")
    if raw[: len(archive.MAGIC)] != archive.MAGIC[: len(raw)]:
        raise FormatError(path, None, "this is no application archive: name a file that `bztoken firmware build` wrote")
    stream, seal_of = raw[:-SEAL_BYTES], raw[-SEAL_BYTES:]
    found = _Contents()
    reader = archive.Reader(found)
    try:
        reader.feed(stream)
    except WireError as error:
        raise FormatError(path, None, f"this is no application archive of this format, or damaged ({error})") from None
    if not reader.is_done():
        raise FormatError(path, None, "the application archive is cut short: fetch it again")
    signer = seal_of[:PUBLIC_KEY_BYTES]
    whole = _fits(signer, seal_of[PUBLIC_KEY_BYTES:], stream + signer)
    return Archive(path, found.version, found.build, found.files, stream, signer, whole)


def _fits(signer: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


class _Contents:
    """Takes what a stream holds, as a token would, and keeps names and lengths."""

    def __init__(self) -> None:
        self.version = ""
        self.build = 0
        self.files: dict[str, int] = {}
        self._name = ""

    def begin(self, raw: bytes, version: str, build: int) -> None:
        self.version = version
        self.build = build

    def begin_file(self, raw: bytes, name: str) -> None:
        self._name = name
        self.files[name] = 0

    def content(self, data: memoryview) -> None:
        self.files[self._name] += len(data)
