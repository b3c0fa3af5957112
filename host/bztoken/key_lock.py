"""Seals the key files of a data folder under a passphrase: Argon2id makes a wrapping key of it, AES-256-GCM seals.

The parameters stand in the file, so that later versions may choose others. What a passphrase opened is remembered in
this process only. A passphrase comes from the file that BZTOKEN_PASSPHRASE_FILE names, else from whoever sits there.
"""

import json
import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from bztoken.errors import HomeError

PASSPHRASE_FILE_VARIABLE = "BZTOKEN_PASSPHRASE_FILE"
MIN_PASSPHRASE_CHARACTERS = 12  # our choice: four short words, or a sentence
FORMAT = "bztoken locked key"
VERSION = 1
_SALT_BYTES = 16  # RFC 9106, section 3.1
_NONCE_BYTES = 12
_WRAPPING_BYTES = 32
# A damaged or forged file must not make the program take all memory or never end.
_MAX_MEMORY_KIB = 2**20
_MAX_PASSES = 64
_MAX_LANES = 16

Ask = Callable[[str], str | None]


def ask_nobody(what: str) -> None:
    """Where no person can be asked for the passphrase of `what`."""


@dataclass(frozen=True)
class Costs:
    """How dear a guess is; by default the second recommended option of RFC 9106, section 4: 64 MiB, 3 passes."""

    memory_kib: int = 65536
    passes: int = 3
    lanes: int = 4

    def are_sound(self) -> bool:
        """False for what Argon2id cannot do, or no sane file asks for."""
        fits = 1 <= self.lanes <= _MAX_LANES and 1 <= self.passes <= _MAX_PASSES
        return fits and 8 * self.lanes <= self.memory_kib <= _MAX_MEMORY_KIB


@dataclass(frozen=True)
class Lock:
    """A passphrase that was worked out: seals any number of keys."""

    salt: bytes
    costs: Costs
    _wrapping_key: bytes = field(repr=False)

    @classmethod
    def of(cls, passphrase: str, salt: bytes | None = None, costs: Costs | None = None) -> Self:
        """Takes a tenth of a second or two. A passphrase means its letters, however a keyboard composes them (NFC)."""
        salt, costs = salt or os.urandom(_SALT_BYTES), costs or Costs()
        made = Argon2id(
            salt=salt,
            length=_WRAPPING_BYTES,
            iterations=costs.passes,
            lanes=costs.lanes,
            memory_cost=costs.memory_kib,
        )
        return cls(salt, costs, made.derive(unicodedata.normalize("NFC", passphrase).encode()))

    def seal(self, key: bytes, purpose: str) -> str:
        """The text of a key file. purpose: which key it is, so that one cannot be put in another's place."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._wrapping_key).encrypt(nonce, key, _bound_to(purpose))
        document = {"format": FORMAT, "version": VERSION, "kdf": "argon2id", **asdict(self.costs)}
        document |= {"salt": self.salt.hex(), "nonce": nonce.hex(), "sealed": sealed.hex()}
        return json.dumps(document, indent=2) + "\n"

    def open(self, locked: "LockedKey", purpose: str) -> bytes | None:
        """The key; None when the passphrase is another one, or the text was changed."""
        try:
            return AESGCM(self._wrapping_key).decrypt(locked.nonce, locked.sealed, _bound_to(purpose))
        except InvalidTag:
            return None


@dataclass(frozen=True)
class LockedKey:
    """What stands in a locked key file."""

    salt: bytes
    costs: Costs
    nonce: bytes
    sealed: bytes


_opened: dict[tuple[bytes, Costs], Lock] = {}


def is_locked(text: str) -> bool:
    """Whether a key file's text is sealed, whole or not."""
    return text.lstrip().startswith("{")


def open_key(path: Path, text: str, purpose: str, ask: Ask) -> tuple[bytes, Lock]:
    """The key in a locked file, and what opened it. Raises HomeError.

    ask: tells the passphrase for a file, or None when nobody can be asked.
    """
    locked = _parse(path, text)
    known = _opened.get((locked.salt, locked.costs))
    if known is not None and (key := known.open(locked, purpose)) is not None:
        return key, known
    lock = Lock.of(_passphrase_for(path, ask), locked.salt, locked.costs)
    key = lock.open(locked, purpose)
    if key is None:
        raise HomeError(f"this is not the passphrase of {path}, or the file was changed: nothing was done, try again")
    _opened[locked.salt, locked.costs] = lock
    return key, lock


def passphrase_in(path: Path) -> str:
    """The first line of a file that only its owner may read. Raises HomeError."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise HomeError(f"{path} can be read by other users of this computer: run `chmod 600 {path}`")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise HomeError(f"the passphrase file {path} cannot be read: correct its name or its content") from error
    if not lines or not lines[0]:
        raise HomeError(f"the passphrase file {path} has an empty first line: write the passphrase there")
    return lines[0]


def require_strong(passphrase: str) -> None:
    """Raises HomeError for a new passphrase that is quickly guessed."""
    if len(passphrase.strip()) < MIN_PASSPHRASE_CHARACTERS:
        raise HomeError(
            f"the passphrase is shorter than {MIN_PASSPHRASE_CHARACTERS} characters: nothing was changed, "
            "choose several words"
        )


def _passphrase_for(path: Path, ask: Ask) -> str:
    named = os.environ.get(PASSPHRASE_FILE_VARIABLE)
    passphrase = passphrase_in(Path(named).expanduser()) if named else ask(str(path))
    if passphrase is None:
        raise HomeError(
            f"{path} is locked with a passphrase and nobody can be asked: run this in a terminal, or name a file "
            f"with the passphrase in {PASSPHRASE_FILE_VARIABLE}"
        )
    return passphrase


def _parse(path: Path, text: str) -> LockedKey:
    try:
        document: Any = json.loads(text)
        if (document["format"], document["version"], document["kdf"]) != (FORMAT, VERSION, "argon2id"):
            raise HomeError(f"{path} was locked by a newer version: install that version")
        costs = Costs(*(int(document[name]) for name in ("memory_kib", "passes", "lanes")))
        salt, nonce, sealed = (bytes.fromhex(document[name]) for name in ("salt", "nonce", "sealed"))
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None
    if not costs.are_sound() or len(salt) != _SALT_BYTES or len(nonce) != _NONCE_BYTES:
        raise _damaged(path)
    return LockedKey(salt, costs, nonce, sealed)


def _damaged(path: Path) -> HomeError:
    return HomeError(f"{path} is a locked key that is damaged: copy the file from your backup")


def _bound_to(purpose: str) -> bytes:
    return f"{FORMAT} {VERSION}: {purpose}".encode()
