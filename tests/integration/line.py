"""A cable between host and token that a test spoils: it cuts, flips, drops, repeats, and sees each request first.

The host opens `path` as it would the token's port. A cut takes the port away, as pulling out a USB cable does.
"""

import os
import selectors
import threading
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bzwire import smp

# From the bytes that passed before and the next ones to the bytes that arrive. Raises Cut.
Fault = Callable[[int, bytes], bytes]
# Sees a request before the token does; False swallows it.
OnRequest = Callable[[smp.Message], bool]


class Cut(Exception):
    """The cable is pulled out after these last bytes."""

    def __init__(self, last: bytes) -> None:
        super().__init__("cut")
        self.last = last


def clean(_passed: int, data: bytes) -> bytes:
    """A good cable."""
    return data


class Line:
    """Pumps bytes in a thread between `path` and a token's port; use as a context manager."""

    def __init__(
        self, port: str, to_token: Fault = clean, to_host: Fault = clean, on_request: OnRequest | None = None
    ) -> None:
        self._faults = {"token": to_token, "host": to_host}
        self.passed = {"token": 0, "host": 0}  # bytes taken from the other side
        self._on_request = on_request
        self._requests = smp.LineDecoder()
        self._failure: BaseException | None = None
        self._token = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._end_read, self._end_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="line")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._end_write, b".")
        self._thread.join()
        for descriptor in (self._token, self._end_read, self._end_write):
            os.close(descriptor)
        self._unplug()
        if self._failure is not None:
            raise self._failure

    def _unplug(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            os.close(self._slave)
            self._master = -1

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._end_read, selectors.EVENT_READ, None)
            selector.register(self._master, selectors.EVENT_READ, "token")
            selector.register(self._token, selectors.EVENT_READ, "host")
            while True:
                for key, _ in selector.select():
                    if key.data is None:
                        return
                    try:
                        self._carry(key.fd, key.data)
                    except Cut:
                        selector.close()
                        self._unplug()
                        return
                    except BaseException as failure:  # noqa: BLE001 - told to the test's own thread
                        self._failure = failure
                        self._unplug()
                        return

    def _carry(self, source: int, to: str) -> None:
        data = os.read(source, 4096)
        target = self._token if to == "token" else self._master
        try:
            arrives = self._faults[to](self.passed[to], data)
        except Cut as cut:
            os.write(target, cut.last)
            raise
        finally:
            self.passed[to] += len(data)
        if to == "host" or self._is_wanted(data):
            os.write(target, arrives)

    def _is_wanted(self, data: bytes) -> bool:
        if self._on_request is None:
            return True
        wanted = [self._on_request(smp.unpack_message(packet)) for packet in self._requests.feed(data)]
        return all(wanted)
