"""Frames of a session, damaged in every way that a line or a stranger can, held against the decoders of both sides.

A frame counts as accepted when what comes out of the envelope differs from what was put in. Two kinds: damaged on the
line, where the CRC-16 has to find it, and damaged before its CRC-16 was made, as a stranger would do: there the MAC
stands alone.
"""

import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from bzwire import cbor, keys, messages, smp
from bzwire.errors import WireError

SESSION = keys.hmac_sha256(b"bench", b"session")
COUNTER = 77
PIECE_BYTES = 200  # of the log in one answer: as many damaged frames as possible in a second


@dataclass
class Tally:
    """on_line, made: damaged frames of either kind; past_crc: of those on the line, what the CRC-16 let through;
    accepted: of both, what the MAC let through.
    """

    on_line: int = 0
    made: int = 0
    past_crc: int = 0
    accepted: int = 0

    def add(self, other: "Tally") -> None:
        """Count both together."""
        self.on_line += other.on_line
        self.made += other.made
        self.past_crc += other.past_crc
        self.accepted += other.accepted


def message(rng: random.Random, direction: bytes) -> bytes:
    """A packed request or answer of the session."""
    fields: dict[str, object] = {"s": rng.getrandbits(20), "o": rng.randrange(2000)}
    fields |= {"d": rng.randbytes(PIECE_BYTES)} if direction == messages.RESPONSE else {"n": 2048}
    body = cbor.dumps(messages.seal(SESSION, direction, messages.CMD_READ, COUNTER, fields))
    op = smp.OP_WRITE_RESPONSE if direction == messages.RESPONSE else smp.OP_WRITE
    return smp.Message(op, smp.GROUP_TOKEN, messages.CMD_READ, 5, body).pack()


def damage(rng: random.Random, data: bytes) -> bytes:
    """Other bytes: bits flipped, bytes lost, doubled, put in, exchanged, cut off, or a burst of noise."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(spoilt)) if spoilt else 0
        kind = rng.randrange(7)
        if kind == 0 and spoilt:
            spoilt[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del spoilt[at : at + rng.choice((1, 1, 2, 16))]
        elif kind == 2:
            spoilt[at:at] = spoilt[at : at + rng.choice((1, 1, 2, 16))]
        elif kind == 3:
            spoilt[at:at] = rng.randbytes(rng.choice((1, 1, 2, 16)))
        elif kind == 4 and spoilt:
            other = rng.randrange(len(spoilt))
            spoilt[at], spoilt[other] = spoilt[other], spoilt[at]
        elif kind == 5:
            del spoilt[at:]
        else:
            spoilt[at : at + 8] = rng.randbytes(8)
    return bytes(spoilt)


def opened(packet: bytes, direction: bytes) -> dict[str, object] | None:
    """What a receiver in this session would take for true; None when it refuses."""
    try:
        found = smp.unpack_message(packet)
        if found.group != smp.GROUP_TOKEN or found.command != messages.CMD_READ:
            return None
        counter, fields = messages.unseal(SESSION, direction, messages.CMD_READ, cbor.loads(found.body))
    except (WireError, AttributeError):  # what is no map has no fields
        return None
    return fields if counter == COUNTER else None


def tally(seed: int, frames: int) -> Tally:
    """Damage so many frames and count; two of three on the line."""
    rng = random.Random(seed)
    found = Tally()
    while found.on_line + found.made < frames:
        direction = rng.choice((messages.REQUEST, messages.RESPONSE))
        true = message(rng, direction)
        meant = opened(true, direction)
        for number in range(21):
            on_line = number % 3 > 0
            passed = _through_line(rng, true) if on_line else _made_anew(rng, true)
            found.on_line += on_line
            found.made += not on_line
            if passed is None or passed == true:
                continue
            found.past_crc += on_line
            got = opened(passed, direction)
            found.accepted += got is not None and got != meant
    return found


def _through_line(rng: random.Random, true: bytes) -> bytes | None:
    """What a decoder gives out for a frame that was damaged on the line."""
    return _decoded(damage(rng, b"".join(smp.encode_lines(true))))


def _made_anew(rng: random.Random, true: bytes) -> bytes | None:
    """The same for one that was damaged first and then sent as if it were right."""
    spoilt = damage(rng, true)
    fits = smp.HEADER_BYTES <= len(spoilt) <= smp.MAX_MESSAGE_BYTES
    return _decoded(b"".join(smp.encode_lines(spoilt))) if fits else None


def _decoded(text: bytes) -> bytes | None:
    packets = smp.LineDecoder().feed(text + b"\n")
    return packets[0] if packets else None


def tally_on_all_cores(frames: int, seed: int = 1) -> Tally:
    """`tally`, in parts."""
    parts = 20
    found = Tally()
    with ProcessPoolExecutor() as pool:
        for part in pool.map(tally, range(seed, seed + parts), [-(-frames // parts)] * parts):
            found.add(part)
    return found
