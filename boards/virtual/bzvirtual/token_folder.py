"""What is left of a token when its power is off: its flash image, its number, and what its board keeps."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

FLASH_BYTES = 2 * 1024 * 1024
POWER_ON = 1  # machine.PWRON_RESET
HARD_RESET = 2
SOFT_RESET = 5


def mac_of(name: str) -> bytes:
    """A chip's own number (6 bytes), the same for the same name."""
    return b"\x24\x0a" + hashlib.sha256(name.encode()).digest()[:4]


@dataclass
class BoardState:
    """What a board keeps without its program: clock, RTC memory, why it last started. Times in microseconds."""

    rtc_offset_us: int | None = None  # clock minus true time; None: power-on, the clock starts at 2000
    drift_ppm: int = 0
    boot_cause: int = POWER_ON  # a brown-out is told as this one, too
    wake_reason: int = 0  # what ended the deep sleep before this start
    rtc_memory: str = ""  # hex
    boots: int = 0
    battery_mv: int = 3900
    # The clock chip, where the board has one: it has its own supply. None: never set. Its drift counts from set_us on.
    rtc_chip_offset_us: int | None = None
    rtc_chip_set_us: int = 0
    rtc_chip_drift_ppm: int = 0
    ble_leak_cycles: int | None = None  # so often the radio can be switched on after a start; None: for ever
    mac: str = ""  # hex, the chip's own number; empty: follows from the folder's name


@dataclass
class TokenFolder:
    """Files of one token: `flash.bin` and `state.json`."""

    path: Path
    state: BoardState = field(default_factory=BoardState)

    @property
    def flash(self) -> Path:
        """The flash image."""
        return self.path / "flash.bin"

    @classmethod
    def create(cls, path: Path, drift_ppm: int = 0, mac: bytes = b"") -> "TokenFolder":
        """A blank board: erased flash, clock at 2000."""
        path.mkdir(parents=True, exist_ok=True)
        folder = cls(path, BoardState(drift_ppm=drift_ppm, mac=mac.hex()))
        folder.flash.write_bytes(b"\xff" * FLASH_BYTES)
        folder.save()
        return folder

    @classmethod
    def open(cls, path: Path) -> "TokenFolder":
        """A board that ran before."""
        return cls(path, BoardState(**json.loads((path / "state.json").read_text())))

    def save(self) -> None:
        """Write the state beside the flash image."""
        (self.path / "state.json").write_text(json.dumps(asdict(self.state)))
