"""CRC-16/XMODEM as machine code, for the token alone: CPython has it as `binascii.crc_hqx` and never loads this.

mpy-cross must be told the instruction set of the board (`-march`); there is no table, which would cost half a KiB.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    _F = TypeVar("_F", bound=Callable[..., int])

    class micropython:  # noqa: N801 - the compiler knows the decorator by this name; nothing is imported
        @staticmethod
        def viper(function: _F) -> _F: ...

    # Types of its own: parameters are annotated with what the compiler knows.
    def ptr8(data: object) -> Sequence[int]: ...

    def len(data: object) -> int: ...


@micropython.viper
def crc16(data: object, crc: int) -> int:
    """CRC-16/XMODEM of bytes after `crc`."""
    source = ptr8(data)
    length = int(len(data))
    at = 0
    while at < length:
        # A byte at a time: the polynomial 0x1021 has three terms, so a byte's share is three shifts.
        share = (crc >> 8) ^ source[at]
        share ^= share >> 4
        crc = ((crc << 8) ^ (share << 12) ^ (share << 5) ^ share) & 0xFFFF
        at += 1
    return crc
