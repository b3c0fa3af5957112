"""`esp32` of the ESP32 port: partitions on a NOR flash that is a file.

Erase sets a sector to 0xFF and takes time; program clears bits and can never set one: an attempt is an error here,
where the chip would silently keep the 0. `writeblocks` without an offset erases first, as the port does.
"""

import errno
import struct

import pipe
import vsleep
from vclock import clock as _clock

WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True
SECTOR_BYTES = 4096
ERASE_US = 45000  # typical sector erase of a W25Q32-class chip
PROGRAM_US_PER_256_BYTES = 700

_ERASED = b"\xff" * SECTOR_BYTES  # made once: an erase must not need memory

_flash = None


def wake_on_ext0(pin=None, level=WAKEUP_ALL_LOW):
    vsleep.arm(vsleep.EXT0_WAKE, (pin,) if pin is not None else (), level)


def wake_on_ext1(pins=None, level=WAKEUP_ALL_LOW):
    """WAKEUP_ALL_LOW: when all of them are low."""
    vsleep.arm(vsleep.EXT1_WAKE, tuple(pins or ()), level)


def wake_on_gpio(pins=None, level=WAKEUP_ALL_LOW):
    """Any of them at that level. A second call replaces the first: one level for all."""
    vsleep.arm(vsleep.GPIO_WAKE, tuple(pins or ()), level)


class NorFlash:
    """The chip: an image file of whole sectors. power_cut_after_bytes: where erasing and programming end in the middle,
    None for never."""

    def __init__(self, path, power_cut_after_bytes=None):
        self._bytes_left = power_cut_after_bytes
        self._file = open(path, "r+b")
        self._file.seek(0, 2)
        self.size = self._file.tell()
        self._erases = 0  # since they were told
        self._programmed_bytes = 0
        _clock.before_wait.append(self._tell)

    def _tell(self):
        if self._erases or self._programmed_bytes:
            count = struct.pack(pipe.FLASH_ARGS, self._erases, self._programmed_bytes)
            _clock.link.send(pipe.FLASH, _clock.now_us(), count)
            self._erases = self._programmed_bytes = 0

    def read_into(self, address, buf):
        self._file.seek(address)
        self._file.readinto(buf)

    def erase_sector(self, address):
        if address % SECTOR_BYTES:
            raise OSError(errno.EINVAL)
        self._change(address, _ERASED)
        self._erases += 1
        _clock.spend_us(ERASE_US)

    def program(self, address, buf):
        self._file.seek(address)
        old = int.from_bytes(self._file.read(len(buf)), "big")
        new = int.from_bytes(buf, "big")
        if old & new != new:
            raise OSError(errno.EIO, "program without erase")
        self._change(address, buf)
        self._programmed_bytes += len(buf)
        _clock.spend_us((len(buf) + 255) // 256 * PROGRAM_US_PER_256_BYTES)

    def _change(self, address, buf):
        self._file.seek(address)
        if self._bytes_left is not None:
            if self._bytes_left < len(buf):
                self._file.write(bytes(buf)[: self._bytes_left])
                _clock.link.send(pipe.POWER_CUT, _clock.now_us())
                _clock.link.stand_still()
            self._bytes_left -= len(buf)
        self._file.write(buf)


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1
    BOOT = 0
    RUNNING = 1

    def __init__(self, label, address, size):
        self._label = label
        self._address = address
        self._size = size

    @staticmethod
    def find(type=TYPE_APP, subtype=0xFF, label=None, block_size=SECTOR_BYTES):
        """Partitions of the virtual flash map: one, `vfs`, over the whole image."""
        if type == Partition.TYPE_DATA and label in (None, "vfs"):
            return [Partition("vfs", 0, _flash.size)]
        return []

    def info(self):
        return Partition.TYPE_DATA, 0x81, self._address, self._size, self._label, False

    def readblocks(self, block, buf, offset=0):
        _flash.read_into(self._address + block * SECTOR_BYTES + offset, buf)

    def writeblocks(self, block, buf, offset=None):
        address = self._address + block * SECTOR_BYTES
        if offset is None:
            for at in range(0, len(buf), SECTOR_BYTES):
                _flash.erase_sector(address + at)
            offset = 0
        _flash.program(address + offset, buf)

    def ioctl(self, command, argument):
        if command == 4:
            return self._size // SECTOR_BYTES
        if command == 5:
            return SECTOR_BYTES
        if command == 6:
            _flash.erase_sector(self._address + argument * SECTOR_BYTES)
            return 0
        return None


def configure(path, power_cut_after_bytes=None):
    """Told by the board's boot where the image is."""
    global _flash
    _flash = NorFlash(path, power_cut_after_bytes)
    return _flash
