"""More that can happen to bytes on a cable than `tests.integration.faults` has, and any of it drawn by hypothesis."""

from hypothesis import strategies as st
from tests.integration.faults import Change, double, drop, flip, garbage, in_frames, noise
from tests.integration.line import Fault, clean

from bzwire import cbor, smp
from bzwire.smp import LINE_NEXT, LINE_START

_ECHO = smp.Message(smp.OP_WRITE, smp.GROUP_OS, smp.OS_ECHO, 9, cbor.dumps({"d": "stray"})).pack()
_ECHOED = smp.Message(smp.OP_WRITE_RESPONSE, smp.GROUP_OS, smp.OS_ECHO, 9, cbor.dumps({"r": "stray"})).pack()


def flip_low(byte: int) -> bytes:
    """The lowest bit arrives wrong: another letter of base64."""
    return bytes((byte ^ 1,))


def control_c(byte: int) -> bytes:
    """What would stop a program whose console listens for it."""
    return bytes((3, byte))


def start_of_frame(byte: int) -> bytes:
    """A frame begins in the middle of another."""
    return LINE_START + bytes((byte,))


def next_of_frame(byte: int) -> bytes:
    """A line that belongs to no frame begins in the middle of another."""
    return LINE_NEXT + bytes((byte,))


def end_of_line(byte: int) -> bytes:
    """A line ends too soon."""
    return bytes((10, byte))


def stray_request(byte: int) -> bytes:
    """A whole frame that nobody sent comes in between."""
    return b"".join(smp.encode_lines(_ECHO)) + bytes((byte,))


def stray_answer(byte: int) -> bytes:
    """The same from the other side."""
    return b"".join(smp.encode_lines(_ECHOED)) + bytes((byte,))


CHANGES: tuple[Change, ...] = (
    flip,
    flip_low,
    drop,
    double,
    garbage,
    control_c,
    start_of_frame,
    next_of_frame,
    end_of_line,
    stray_request,
    stray_answer,
)


def frames_again(frames: set[int], back: int) -> Fault:
    """Before each of these frames (the first is 1) one comes that passed `back` frames earlier, whole."""
    passed: list[bytes] = []

    def fault(_passed: int, data: bytes) -> bytes:
        arrives = b""
        for line in data.splitlines(keepends=True):
            if line.startswith(LINE_START):
                passed.append(b"")
                if len(passed) in frames and len(passed) > back:
                    arrives += passed[-1 - back]
            if passed:
                passed[-1] += line
            arrives += line
        return arrives

    return fault


_FRAMES = st.sets(st.integers(1, 25), min_size=1, max_size=4)
# Faults have a memory, so each use needs its own: what is drawn here makes one.
CHANGED: st.SearchStrategy[Fault] = st.builds(in_frames, _FRAMES, st.sampled_from(CHANGES), st.integers(0, 120))
REPEATED: st.SearchStrategy[Fault] = st.builds(frames_again, _FRAMES, st.integers(1, 5))
NOISY: st.SearchStrategy[Fault] = st.builds(
    noise, st.sampled_from([0.0002, 0.0007, 0.002, 0.006]), st.integers(0, 1 << 30)
)


def one_way_or_both(fault: st.SearchStrategy[Fault]) -> st.SearchStrategy[tuple[Fault, Fault]]:
    """(to the token, to the host)."""
    return st.one_of(st.tuples(fault, st.just(clean)), st.tuples(st.just(clean), fault), st.tuples(fault, fault))
