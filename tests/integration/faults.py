"""What a `Line` can do to the bytes that pass in one direction."""

import random
from collections.abc import Callable

from tests.integration.line import Cut, Fault

from bzwire.smp import LINE_START

# From one byte to what arrives instead.
Change = Callable[[int], bytes]


def cut_after(count: int) -> Fault:
    """The cable is pulled out when this many bytes have passed."""

    def fault(passed: int, data: bytes) -> bytes:
        if passed + len(data) >= count:
            raise Cut(data[: max(0, count - passed)])
        return data

    return fault


def flip(byte: int) -> bytes:
    """The highest bit arrives wrong."""
    return bytes((byte ^ 0x80,))


def drop(_byte: int) -> bytes:
    """The byte does not arrive."""
    return b""


def double(byte: int) -> bytes:
    """The byte arrives twice."""
    return bytes((byte, byte))


def garbage(byte: int) -> bytes:
    """Other bytes come in between: a start of a frame among them, which hides the rest of the true one."""
    return b"\x00\xff" + LINE_START + b"AAAA\n" + bytes((byte,))


def in_frames(frames: set[int], change: Change, at: int = 30) -> Fault:
    """Change the byte `at` bytes after the start of these frames (the first is 1)."""
    state = {"frame": 0, "offset": 0, "before": 0}

    def fault(_passed: int, data: bytes) -> bytes:
        arrives = b""
        for byte in data:
            state["offset"] += 1
            if (state["before"], byte) == tuple(LINE_START):
                state["frame"] += 1
                state["offset"] = 0
            state["before"] = byte
            hit = state["frame"] in frames and state["offset"] == at
            arrives += change(byte) if hit else bytes((byte,))
        return arrives

    return fault


def every_piece_twice(_passed: int, data: bytes) -> bytes:
    """Whatever arrives arrives once more."""
    return data + data


def noise(share: float, seed: int) -> Fault:
    """Each byte is replaced by a random one with this probability."""
    draw = random.Random(seed)

    def fault(_passed: int, data: bytes) -> bytes:
        return bytes(draw.randrange(256) if draw.random() < share else byte for byte in data)

    return fault
