"""Every page of an SQLCipher file or of its log, decrypted, free pages and all: what a search for traces must read.

After https://www.zetetic.net/sqlcipher/design/ : AES-256-CBC, each page of 4096 bytes ends with its IV (16) and an HMAC
(64); the first page begins with the salt (16). The log has a header of 32 bytes, and one of 24 before each page.
"""

from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PAGE_BYTES, SALT_BYTES, IV_BYTES, RESERVED_BYTES = 4096, 16, 16, 80
LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24


def decrypted(database: Path, key: bytes) -> bytes:
    """All pages of a database file, one after the other."""
    return b"".join(_opened(page, key, number == 0) for number, page in enumerate(_pages(database.read_bytes())))


def decrypted_log(log: Path, key: bytes) -> bytes:
    """All pages in a write-ahead log."""
    if not log.exists():
        return b""
    raw = log.read_bytes()[LOG_HEADER_BYTES:]
    step = FRAME_HEADER_BYTES + PAGE_BYTES
    frames = [raw[at : at + step] for at in range(0, len(raw) - step + 1, step)]
    return b"".join(_opened(frame[FRAME_HEADER_BYTES:], key, int.from_bytes(frame[:4], "big") == 1) for frame in frames)


def _pages(raw: bytes) -> Iterator[bytes]:
    assert len(raw) % PAGE_BYTES == 0
    for at in range(0, len(raw), PAGE_BYTES):
        yield raw[at : at + PAGE_BYTES]


def _opened(page: bytes, key: bytes, is_first: bool) -> bytes:
    iv = page[-RESERVED_BYTES : -RESERVED_BYTES + IV_BYTES]
    sealed = page[SALT_BYTES if is_first else 0 : -RESERVED_BYTES]
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return decryptor.update(sealed) + decryptor.finalize()
