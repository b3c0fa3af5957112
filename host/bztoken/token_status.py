"""What a token says of itself (firmware/SPEC.md "Status"), and what somebody should do about it.

A token of version 0.1 does not say everything: what is missing counts as nothing wrong, its settings as unknown.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from bztoken.link.token_link import Info
from bztoken.token_settings import Settings
from bzwire.page import CLOCK_UNSET

# Sleeping tokens whose clocks are farther apart than this miss each other more often.
CLOCK_TOLERANCE_MS = 30_000


class Battery(IntEnum):
    """Field `bs`; SPEC.md "Battery"."""

    UNKNOWN = 0
    GOOD = 1
    LOW = 2
    SAVING = 3
    EMPTY = 4


class Need(StrEnum):
    """Something to be done about a token; most urgent first."""

    SAFE_MODE = "safe mode"
    SET_CLOCK = "clock not set"
    BATTERY_EMPTY = "battery empty"
    BATTERY_SAVING = "battery saving"
    BATTERY_LOW = "battery low"
    DAYS_GIVEN_UP = "days given up"
    FILES_PUT_ASIDE = "files put aside"
    WRITES_FAILED = "writes failed"
    ADDRESSES_REFUSED = "addresses refused"
    RADIO_ERRORS = "radio errors"
    CLOCK_OFF = "clock off"


@dataclass(frozen=True)
class TokenStatus:
    """Counts are since boot where SPEC.md says so. clock_offset_ms: ahead of this computer, None: clock not set."""

    label: str
    role: str
    board: str
    firmware: str
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

    def needs(self) -> list[Need]:
        """What should be done, most urgent first."""
        found = {
            Need.SAFE_MODE: self.safe_mode,
            Need.SET_CLOCK: self.clock_state == CLOCK_UNSET,
            Need.BATTERY_EMPTY: self.battery == Battery.EMPTY,
            Need.BATTERY_SAVING: self.battery == Battery.SAVING,
            Need.BATTERY_LOW: self.battery == Battery.LOW,
            Need.DAYS_GIVEN_UP: self.days_given_up > 0,
            Need.FILES_PUT_ASIDE: self.files_put_aside > 0,
            Need.WRITES_FAILED: self.failed_writes > 0,
            Need.ADDRESSES_REFUSED: self.address_refusals > 0,
            Need.RADIO_ERRORS: self.radio_errors > 0,
            Need.CLOCK_OFF: abs(self.clock_offset_ms or 0) > CLOCK_TOLERANCE_MS,
        }
        return [need for need, is_there in found.items() if is_there]


def from_fields(label: str, info: Info, fields: dict[str, Any], host_ms: int) -> TokenStatus:
    """From an answer of STATUS; host_ms: this computer's clock when it was made. Raises LinkError for odd settings."""

    def count(name: str) -> int:
        return int(fields.get(name, 0))

    return TokenStatus(
        label=label,
        role=str(fields["r"]),
        board=info.board,
        firmware=info.firmware,
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
    )
