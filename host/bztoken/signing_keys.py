"""The keys that sign applications: made once, kept away from clinics; a clinic's computer trusts their public halves.

A file says which half it holds, then 32 bytes as hex: they look alike, and one must never be taken for the other.
Trusted keys lie in the folder `trusted` of the data folder, one a file.
"""

import hashlib
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bztoken.errors import HomeError
from bztoken.home import FOLDER_MODE, KEY_BYTES, Home, private_file

PUBLIC_SUFFIX = ".pub"
TRUSTED_FOLDER = "trusted"
NAME_BYTES = 8
SECRET_MARK = "bztoken-signing-key"
PUBLIC_MARK = "bztoken-public-key"
MAX_FILE_BYTES = 1024


def make(path: Path) -> Path:
    """Write a new signing key (for its owner only) and its public half beside it; the path of that. Raises HomeError.

    A key that is there already is never replaced: tokens may depend on it.
    """
    public_path = path.with_name(path.name + PUBLIC_SUFFIX)
    for taken in (path, public_path):
        if taken.exists():
            raise HomeError(f"{taken} exists already: choose another name, or move it away")
    key = Ed25519PrivateKey.generate()
    with private_file(path) as file:
        file.write(_line(SECRET_MARK, key.private_bytes_raw()).encode("ascii"))
    public_path.write_text(_line(PUBLIC_MARK, key.public_key().public_bytes_raw()), encoding="ascii")
    return public_path


def load(path: Path) -> Ed25519PrivateKey:
    """Raises HomeError."""
    content = _read(path, SECRET_MARK)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise HomeError(f"{path} can be read by other users of this computer: run `chmod 600 {path}`")
    return Ed25519PrivateKey.from_private_bytes(content)


def trust(home: Home, path: Path) -> str:
    """Applications signed with this public key may be sent to tokens from now on; the key's name. Raises HomeError."""
    public = _read_public(path)
    folder = home.path / TRUSTED_FOLDER
    home.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    (folder / (name_of(public) + PUBLIC_SUFFIX)).write_text(_line(PUBLIC_MARK, public), encoding="ascii")
    return name_of(public)


def trusted(home: Home) -> frozenset[bytes]:
    """The public keys that are trusted here. Raises HomeError for one that is damaged."""
    return frozenset(_read_public(path) for path in sorted((home.path / TRUSTED_FOLDER).glob("*" + PUBLIC_SUFFIX)))


def name_of(public: bytes) -> str:
    """By which people tell public keys apart."""
    return hashlib.sha256(public).hexdigest()[: 2 * NAME_BYTES]


def _read_public(path: Path) -> bytes:
    content = _read(path, PUBLIC_MARK)
    Ed25519PublicKey.from_public_bytes(content)
    return content


_NOT_THIS = {
    SECRET_MARK: "does not hold a signing key: name the file that `bztoken firmware keygen` made",
    PUBLIC_MARK: "does not hold a public key: name the .pub file of a signing key",
}
_THE_OTHER = {
    SECRET_MARK: "holds the public key, which signs nothing: name the file without .pub",
    PUBLIC_MARK: "holds the secret key, which belongs to whoever signs: take it away from here, and name the .pub file",
}


def _line(mark: str, content: bytes) -> str:
    return f"{mark} {content.hex()}\n"


def _read(path: Path, wanted: str) -> bytes:
    """The key in a file that has this mark. Raises HomeError, also for the other half."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise HomeError(f"{path} cannot be read ({(error.strerror or 'no reason given').lower()})") from None
    mark, _, digits = raw.decode("ascii", errors="replace").strip().partition(" ")
    if mark != wanted and mark in _THE_OTHER:
        raise HomeError(f"{path} {_THE_OTHER[wanted]}")
    try:
        content = bytes.fromhex(digits)
    except ValueError:
        content = b""
    if mark != wanted or len(raw) > MAX_FILE_BYTES or len(content) != KEY_BYTES:
        raise HomeError(f"{path} {_NOT_THIS[wanted]}")
    return content
