"""Who has the registry open: everybody shares a lock on a file beside it, who replaces the registry has it alone.

The system takes a lock back when a program ends, however it ends. Without it a program that has the old file open
would go on writing into it after it was replaced.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bztoken.errors import RegistryError
from bztoken.home import FILE_MODE, Home
from bztoken.registry.connecting import BUSY_TIMEOUT_S

LOCK_NAME = "registry.lock"
_POLL_S = 0.05
_BEING_REPLACED = (
    "the registry is just being replaced (`bztoken db restore` or `db rotate-key`): nothing was done, try again when "
    "that has ended"
)
_OPEN_ELSEWHERE = (
    "another program has the registry open: nothing was changed, end it (a sync, a batch, the station's page) and try "
    "again"
)


class Share:
    """One's part of the lock, until it is given back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def give_back(self) -> None:
        """May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def share(home: Home, wait_s: float = BUSY_TIMEOUT_S) -> Share:
    """Be one of those who have the registry open. Raises RegistryError when it is being replaced for longer."""
    return Share(_locked(home, fcntl.LOCK_SH, wait_s, _BEING_REPLACED))


@contextmanager
def alone(home: Home, wait_s: float = 0) -> Iterator[None]:
    """Nobody has the registry open, and nobody opens it meanwhile. Raises RegistryError when somebody has."""
    descriptor = _locked(home, fcntl.LOCK_EX, wait_s, _OPEN_ELSEWHERE)
    try:
        yield
    finally:
        os.close(descriptor)


def open_elsewhere() -> RegistryError:
    """When it is the database itself that tells: a program of before this lock has it open."""
    return RegistryError(_OPEN_ELSEWHERE)


def _locked(home: Home, how: int, wait_s: float, refusal: str) -> int:
    descriptor = os.open(home.path / LOCK_NAME, os.O_RDWR | os.O_CREAT, FILE_MODE)
    until_s = time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() >= until_s:
                    raise RegistryError(refusal) from None
                time.sleep(_POLL_S)
    except BaseException:
        os.close(descriptor)
        raise
