"""`select` for asyncio: readiness of the console and of Python-made streams; waiting hands the turn to the ether."""

import sys

from vclock import clock as _clock

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
_MP_STREAM_POLL = 3


class _Poll:
    def __init__(self):
        self._flags = {}
        self._objects = {}

    def register(self, stream, flags=POLLIN | POLLOUT):
        self._objects[id(stream)] = stream
        self._flags[id(stream)] = flags

    modify = register

    def unregister(self, stream):
        self._objects.pop(id(stream), None)
        self._flags.pop(id(stream), None)

    def _ready(self):
        found = []
        for key, stream in self._objects.items():
            flags = self._flags[key]
            if stream is sys.stdin.buffer or stream is sys.stdin:
                if flags & POLLIN and _clock.stdin_ready():
                    found.append((stream, POLLIN))
            elif stream is sys.stdout.buffer or stream is sys.stdout:
                if flags & POLLOUT:
                    found.append((stream, POLLOUT))
            else:
                state = stream.ioctl(_MP_STREAM_POLL, flags)
                if state:
                    found.append((stream, state))
        return found

    def poll(self, timeout_ms=-1):
        until_us = -1 if timeout_ms < 0 else _clock.now_us() + timeout_ms * 1000
        while True:
            found = self._ready()
            if found or (until_us >= 0 and _clock.now_us() >= until_us):
                return found
            _clock.wait(until_us)

    def ipoll(self, timeout_ms=-1, flags=0):
        return iter(self.poll(timeout_ms))


def poll():
    return _Poll()
