"""A fleet's folder made by hand: flash images with sealed pages, and the truth that they are held against."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from littlefs import LittleFS
from littlefs.context import UserContext

from bztoken.crypto import aes_ecb
from bzwire import keys
from bzwire.page import CLOCK_SET, PageHeader, Record, seal

FLASH_BYTES = 256 * 1024
SECTOR_BYTES = 4096
START_S = 1_767_571_200  # 2026-01-05 00:00 UTC
WINDOW_S = 300


def write_flash(image: Path, files: dict[str, bytes]) -> None:
    """A LittleFS image with these files in `/log`."""
    context = UserContext(FLASH_BYTES)
    flash = LittleFS(
        context=context,
        block_size=SECTOR_BYTES,
        block_count=FLASH_BYTES // SECTOR_BYTES,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
    )
    flash.makedirs("/log", exist_ok=True)
    for name, content in files.items():
        with flash.open(f"/log/{name}", "wb") as file:
            file.write(content)
    image.write_bytes(bytes(context.buffer))


def record(rotating_id: bytes, first_s: int, last_s: int, **more: Any) -> Record:
    """Heard from first_s to last_s after its window's start."""
    return Record(rotating_id, first_s, last_s, 12, 3, -62, -66, 0, **more)


@dataclass
class Folder:
    """Builds the folder; `write` puts it on disk. Times are seconds after START_S, positions metres on a line."""

    path: Path
    length_s: int = 4 * 3600
    members: list[dict[str, Any]] = field(default_factory=list)
    encounters: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    tracks: dict[str, list[list[float]]] = field(default_factory=dict)
    clocks: dict[str, list[list[float]]] = field(default_factory=dict)
    pages: dict[str, list[bytes]] = field(default_factory=dict)
    histories: dict[str, list[str]] = field(default_factory=dict)

    def join(self, name: str, carries: str, x_m: float = 0.0, **more: Any) -> None:
        """Somebody who stays where they are."""
        folder = f"token-{name}" if carries == "token" else ""
        self.members.append({"person": name, "label": name.title(), "carries": carries, "folder": folder, **more})
        self.tracks[name] = [[START_S, x_m, 0.0], [START_S + self.length_s, x_m, 0.0]]
        if carries == "token":
            self.clocks[name] = [[START_S, 0.0], [START_S + self.length_s, 0.0]]
            self.pages[name] = []
        elif carries != "beacon":
            self.histories[name] = []

    def log_key(self, name: str) -> bytes:
        """The first log key of a token."""
        return keys.hmac_sha256(b"hand made", name.encode())

    def meet(self, a: str, b: str, start_s: int, minutes: float, mean_m: float = 1.5) -> None:
        """A true encounter."""
        start = START_S + start_s
        self.encounters.append(
            {
                "a": a,
                "b": b,
                "start_s": start,
                "end_s": start + round(minutes * 60),
                "minutes": minutes,
                "mean_m": mean_m,
                "min_m": mean_m,
            }
        )

    def on_air(self, name: str, rotating_id: bytes, start_s: float, end_s: float, kind: str = "bluezone") -> None:
        """An ID of somebody."""
        self.ids.append(f"{name}\t{kind}\t{rotating_id.hex()}\t{START_S + start_s:.1f}\t{START_S + end_s:.1f}\n")

    def hear(self, name: str, window: int, *records: Record, clock_error_s: int = 0, key: bytes | None = None) -> None:
        """A page of a token's log; window: its number since START_S; the token's clock was wrong by so much."""
        begin_s = START_S + window * WINDOW_S + clock_error_s
        header = PageHeader(len(self.pages[name]) + 1, 1, 300_000 * window, begin_s, WINDOW_S, 60, CLOCK_SET, 0)
        self.pages[name].append(seal(header, list(records), key or self.log_key(name), aes_ecb))

    def history(self, name: str, rotating_id: bytes, at_s: float) -> None:
        """A line of a phone's history."""
        line = f"{bytes(12).hex().upper()}\t{rotating_id.hex().upper()}\t-70\t{round((START_S + at_s) * 1000)}"
        self.histories[name].append(line)

    def write(self) -> Path:
        """The folder, complete."""
        self.path.mkdir(parents=True, exist_ok=True)
        manifest = {"world": "made", "seed": 1, "start_s": START_S, "end_s": START_S + self.length_s}
        self._json("fleet.json", {**manifest, "members": self.members})
        truth = {"near_m": 2.0, "contacts": [], "encounters": self.encounters, "tracks": self.tracks}
        self._json("truth.json", {**truth, "clocks": self.clocks})
        (self.path / "ids.tsv").write_text("".join(self.ids))
        tokens = [{"person": name, "first_log_key": self.log_key(name).hex()} for name in self.pages]
        self._json("identities.json", {"tokens": tokens})
        gaps = {"min": 210, "median": 1000, "max": 2200}
        self._json("air.json", {"rotations": 40, "linked": [], "address_only_changes": 0, "gap_ms": gaps})
        for name, pages in self.pages.items():
            (self.path / f"token-{name}").mkdir(exist_ok=True)
            write_flash(self.path / f"token-{name}" / "flash.bin", {"020458-0000000001.bzl": b"".join(pages)})
        for name, lines in self.histories.items():
            (self.path / f"phone-{name}.tsv").write_text("".join(line + "\n" for line in lines))
        return self.path

    def _json(self, name: str, content: Any) -> None:
        (self.path / name).write_text(json.dumps(content))
