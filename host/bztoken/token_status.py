"""What a token says of itself (firmware/SPEC.md "Status"), and what somebody should do about it.

A token of version 0.1 or 0.2 does not say everything: what is missing counts as nothing wrong, or as unknown (None).
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from bztoken.link.token_link import Info
from bztoken.token_settings import Settings
from bzwire.page import CLOCK_UNSET

# Sleeping tokens whose clocks are farther apart than this miss each other more often.
CLOCK_TOLERANCE_MS = 30_000
# Less free flash than this share: soon the oldest days give way to new ones.
LEAST_FREE_SHARE = 0.1


class Battery(IntEnum):
    """Field `bs`; SPEC.md "Battery"."""

    UNKNOWN = 0
    GOOD = 1
    LOW = 2
    SAVING = 3
    EMPTY = 4


class UpdateResult(IntEnum):
    """Field `ur`; SPEC.md "Status"."""

    NONE = 0
    CONFIRMED = 1
    ROLLED_BACK = 2


class Need(StrEnum):
    """Something to be done about a token; most urgent first."""

    DEVELOPMENT = "development"
    SAFE_MODE = "safe mode"
    SET_CLOCK = "clock not set"
    BATTERY_EMPTY = "battery empty"
    BATTERY_SAVING = "battery saving"
    BATTERY_LOW = "battery low"
    DAYS_GIVEN_UP = "days given up"
    FLASH_NEARLY_FULL = "flash nearly full"
    FILES_PUT_ASIDE = "files put aside"
    WRITES_FAILED = "writes failed"
    ADDRESSES_REFUSED = "addresses refused"
    RADIO_ERRORS = "radio errors"
    UPDATE_ROLLED_BACK = "update rolled back"
    CLOCK_OFF = "clock off"


@dataclass(frozen=True)
class TokenStatus:
    """Counts are since boot where SPEC.md says so. clock_offset_ms: ahead of this computer, None: clock not set."""

    label: str
    role: str
    board: str
    firmware: str
    development: bool  # its cable leads to a prompt, and so to its keys
    safe_mode: bool
    clock_state: int
    clock_offset_ms: int | None
    clock_repairs: int
    drift_ppm: int
    drift_bound_ppm: int
    boots: int
    uptime_ms: int
    failed_boots: int
    restart_cause: int
    pages: int
    pages_waiting: int  # not acknowledged yet
    log_bytes: int
    days_given_up: int
    files_put_aside: int
    failed_writes: int
    flash_bytes: int | None
    flash_free_bytes: int | None
    slot: str | None  # of two for the application; None also while it was never updated
    on_trial: bool  # a new application that has not confirmed itself yet
    update_result: int
    settings: Settings | None
    battery_mv: int
    battery: int
    lost_results: int
    stale_records: int
    address_refusals: int
    iphone_connections: int
    iphone_failures: int
    refused_proofs: int
    radio_errors: int
    dead_scans: int
    heap_bytes: int
    hardware: bytes  # the chip's own number; empty from firmware before 0.4, and towards couriers

    def needs(self) -> list[Need]:
        """What should be done, most urgent first."""
        found = {
            Need.DEVELOPMENT: self.development,
            Need.SAFE_MODE: self.safe_mode,
            Need.SET_CLOCK: self.clock_state == CLOCK_UNSET,
            Need.BATTERY_EMPTY: self.battery == Battery.EMPTY,
            Need.BATTERY_SAVING: self.battery == Battery.SAVING,
            Need.BATTERY_LOW: self.battery == Battery.LOW,
            Need.DAYS_GIVEN_UP: self.days_given_up > 0,
            Need.FLASH_NEARLY_FULL: is_nearly_full(self.flash_bytes, self.flash_free_bytes),
            Need.FILES_PUT_ASIDE: self.files_put_aside > 0,
            Need.WRITES_FAILED: self.failed_writes > 0,
            Need.ADDRESSES_REFUSED: self.address_refusals > 0,
            Need.RADIO_ERRORS: self.radio_errors > 0,
            Need.UPDATE_ROLLED_BACK: self.update_result == UpdateResult.ROLLED_BACK,
            Need.CLOCK_OFF: abs(self.clock_offset_ms or 0) > CLOCK_TOLERANCE_MS,
        }
        return [need for need, is_there in found.items() if is_there]


def is_nearly_full(flash_bytes: int | None, free_bytes: int | None) -> bool:
    """Of a token's file system; a token that does not tell counts as having room."""
    return flash_bytes is not None and free_bytes is not None and free_bytes < LEAST_FREE_SHARE * flash_bytes


def from_fields(label: str, info: Info, fields: dict[str, Any], host_ms: int) -> TokenStatus:
    """From an answer of STATUS; host_ms: this computer's clock when it was made. Raises LinkError for odd settings."""

    def count(name: str) -> int:
        return int(fields.get(name, 0))

    def told(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    return TokenStatus(
        label=label,
        role=str(fields["r"]),
        board=info.board,
        firmware=info.firmware,
        development=info.development,
        safe_mode=info.safe_mode,
        clock_state=int(fields["ck"]),
        clock_offset_ms=None if fields["ck"] == CLOCK_UNSET else int(fields["t"]) - host_ms,
        clock_repairs=count("cr"),
        drift_ppm=count("dp"),
        drift_bound_ppm=count("db"),
        boots=count("bo"),
        uptime_ms=count("up"),
        failed_boots=count("fb"),
        restart_cause=count("rc"),
        pages=count("n") - count("f"),
        pages_waiting=count("n") - max(count("f"), count("a") + 1),
        log_bytes=count("sz"),
        days_given_up=count("dd"),
        files_put_aside=count("qf"),
        failed_writes=count("fw"),
        flash_bytes=told("ft"),
        flash_free_bytes=told("ff"),
        slot=fields.get("us"),
        on_trial=bool(count("ut")),
        update_result=count("ur"),
        settings=Settings.from_fields(fields) if "p" in fields else None,
        battery_mv=count("bv"),
        battery=count("bs"),
        lost_results=count("lo"),
        stale_records=count("st"),
        address_refusals=count("ar"),
        iphone_connections=count("ic"),
        iphone_failures=count("if"),
        refused_proofs=count("rp"),
        radio_errors=count("ie"),
        dead_scans=count("ds"),
        heap_bytes=count("hp"),
        hardware=bytes(fields.get("hw", b"")),
    )
