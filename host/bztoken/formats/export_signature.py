"""Signatures of diagnosis-key exports (ECDSA on P-256 with SHA-256 over the whole export.bin), and their keys in PEM.

A key is made once and never replaced: phones and clinics may trust its public half. Nothing here prints a key.
"""

import os
import stat
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from bztoken.errors import HomeError
from bztoken.home import private_file
from bztoken.out_files import write_whole

ALGORITHM = "1.2.840.10045.4.3.2"  # ecdsa-with-SHA256, RFC 5758 section 3.2
MAX_FILE_BYTES = 8192
_PUBLIC_SUFFIX = ".public.pem"
_PRIVATE_MARK = b"PRIVATE KEY-----"
_PUBLIC_MARK = b"-----BEGIN PUBLIC KEY-----"


class Verdict(StrEnum):
    """What the signature of a file is worth."""

    VALID = "valid"
    INVALID = "invalid"  # changed after it was signed, or signed with another key
    UNVERIFIED = "unverified"  # no signature, or no key to check it with


def make(path: Path) -> Path:
    """Write a new signing key (for its owner only) and its public half beside it; the path of that.

    Raises HomeError when one of the files is there already, PrintError or OSError when they cannot be written; then
    neither is.
    """
    public_path = path.with_name(path.name.removesuffix(".pem") + _PUBLIC_SUFFIX)
    for taken in (path, public_path):
        if taken.exists():
            raise HomeError(f"{taken} exists already: choose another name, or move it away")
    key = ec.generate_private_key(ec.SECP256R1())
    with private_file(path) as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        write_whole(public_path, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    except BaseException:
        path.unlink()
        raise
    return public_path


def load_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key that signs. Raises HomeError."""
    raw, mode = _read(path)
    if _PUBLIC_MARK in raw:
        raise HomeError(f"{path} holds a public key, which signs nothing: name the file of the signing key")
    if mode & 0o077:
        raise HomeError(f"{path} can be read by other users of this computer: run `chmod 600 {path}`")
    try:
        key = load_pem_private_key(raw, password=None)
    except TypeError:
        raise HomeError(f"{path} is closed with a passphrase: name a signing key without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise HomeError(
            f"{path} holds no signing key in PEM: name the file that `bztoken keys sign-key` made"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise HomeError(f"{path} holds a key of another kind: exports are signed with a P-256 key")
    return key


def load_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """The key that checks. Raises HomeError."""
    raw, _mode = _read(path)
    if _PRIVATE_MARK in raw:
        raise HomeError(f"{path} holds a secret key, which belongs to whoever signs: name the file of the public key")
    try:
        key = load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise HomeError(f"{path} holds no public key in PEM: ask for that of whoever signed the export") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise HomeError(f"{path} holds a key of another kind: exports are signed with a P-256 key")
    return key


def sign(content: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """DER of the two numbers (X9.62); the same for the same content and key (RFC 6979)."""
    return key.sign(content, ec.ECDSA(SHA256(), deterministic_signing=True))


def verdict(content: bytes, signatures: Iterable[bytes], key: ec.EllipticCurvePublicKey | None) -> Verdict:
    """One right signature is enough: a file may be signed with the old and the new key of its author."""
    found = tuple(signatures)
    if key is None or not found:
        return Verdict.UNVERIFIED
    return Verdict.VALID if any(_fits(content, signature, key) for signature in found) else Verdict.INVALID


def _fits(content: bytes, signature: bytes, key: ec.EllipticCurvePublicKey) -> bool:
    try:
        key.verify(signature, content, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _read(path: Path) -> tuple[bytes, int]:
    """The file, and who may read it. Raises HomeError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise HomeError(f"{path} cannot be read ({(error.strerror or 'no reason given').lower()})") from None
