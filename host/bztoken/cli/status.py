"""`bztoken status`: what a token says of itself: what to do about it, the facts, then those for a technician."""

from dataclasses import asdict
from typing import Annotated

import typer

from bztoken.cli.info import CLOCKS
from bztoken.cli.output import answer, answer_json, answer_table
from bztoken.cli.registry import AsJson
from bztoken.cli.selftest import battery_volts
from bztoken.cli.settings import settings_document
from bztoken.home import Home
from bztoken.registry.devices import SHORT_DIGITS
from bztoken.token_care import read_status
from bztoken.token_status import Battery, Need, TokenStatus, UpdateResult

_BATTERIES: dict[int, str] = {
    Battery.UNKNOWN: "this board cannot measure it",
    Battery.GOOD: "good",
    Battery.LOW: "low",
    Battery.SAVING: "nearly empty",
    Battery.EMPTY: "empty",
}
# SPEC.md "Status", field rc
_RESTARTS = {1: "power-on", 2: "reset", 3: "watchdog", 4: "deep sleep", 5: "planned or by software"}


def status(
    ctx: typer.Context,
    port: Annotated[str, typer.Option("--port", help="Serial port of the token.")],
    as_json: AsJson = False,
) -> None:
    """Show how a token is, and what it needs.

    What needs doing first, details for a technician last.
    """
    found = read_status(ctx.obj, port)
    if as_json:
        answer_json(document(found))
    else:
        home: Home = ctx.obj
        answer_status(found, home.is_courier)


def answer_status(found: TokenStatus, is_courier: bool) -> None:
    """For a person: what needs doing, the facts, the details. is_courier: this computer can acknowledge nothing."""
    for line in (*_advice(found), *_facts(found, is_courier)):
        answer(line)
    answer_table(("for a technician", ""), _details(found), "")


def document(found: TokenStatus) -> dict[str, object]:
    """As JSON has it."""
    plain = asdict(found)
    plain["hardware"] = found.hardware.hex()
    plain["settings"] = None if found.settings is None else settings_document(found.settings)
    return {"needs": [need.value for need in found.needs()], **plain}


def _advice(found: TokenStatus) -> list[str]:
    """A sentence a need."""
    sentences = {
        Need.DEVELOPMENT: "Nobody may wear it: it is a developer's board, whose cable leads to its keys.",
        Need.SAFE_MODE: "Bring it to a technician: it could not start and runs in safe mode. Sync it first.",
        Need.SET_CLOCK: "Sync it: its clock is not set, so it broadcasts and records nothing.",
        Need.BATTERY_EMPTY: "Charge it now: the battery is empty and its radio is off.",
        Need.BATTERY_SAVING: "Charge it: to save the battery it does not listen any more.",
        Need.BATTERY_LOW: "Charge it: the battery is low.",
        Need.DAYS_GIVEN_UP: f"The flash was full: the oldest {_many(found.days_given_up, 'day')} were given up. "
        "Sync it more often.",
        Need.FLASH_NEARLY_FULL: "Sync it: its flash is nearly full, and soon the oldest days give way to new ones.",
        Need.FILES_PUT_ASIDE: f"Let a technician look at it: {_many(found.files_put_aside, 'day file')} could not be "
        "read and were put aside.",
        Need.WRITES_FAILED: f"Let a technician look at it: its flash refused {_many(found.failed_writes, 'write')}.",
        Need.ADDRESSES_REFUSED: f"Let a technician look at it: its radio refused "
        f"{_many(found.address_refusals, 'new address', 'new addresses')}, and it was silent meanwhile.",
        Need.RADIO_ERRORS: f"Let a technician look at it: its radio had {_many(found.radio_errors, 'error')}.",
        Need.UPDATE_ROLLED_BACK: "Tell a technician: its last update did not start properly, so it went back to the "
        "version before.",
        Need.CLOCK_OFF: f"Sync it: its clock is {abs(found.clock_offset_ms or 0) / 1000:.0f} s off.",
    }
    return [sentences[need] for need in found.needs()] or ["Nothing needs to be done."]


def _facts(found: TokenStatus, is_courier: bool) -> list[str]:
    """For a health worker."""
    waiting = "not yet acknowledged by the clinic" if is_courier else "to sync"
    lines = [
        f"{found.label} ({found.role}).",
        f"Battery: {battery_in_words(found.battery, found.battery_mv)}.",
        f"Clock: {_clock(found)}.",
        f"Log: {_many(found.pages_waiting, 'page')} {waiting}.",
    ]
    if found.settings is not None and found.settings.notice:
        lines.append("The exposure notice is on: the clinic has news for the wearer.")
    return lines


def battery_in_words(state: int, battery_mv: int) -> str:
    """State, and volts where the board measures them."""
    volts = f" ({battery_volts(battery_mv)})" if battery_mv else ""
    return f"{_BATTERIES.get(state, 'unknown')}{volts}"


def _clock(found: TokenStatus) -> str:
    if found.clock_offset_ms is None:
        return "not set"
    seconds = abs(found.clock_offset_ms) / 1000
    return f"right to {seconds:.1f} s" if seconds < 1 else f"{seconds:.1f} s off"


def _details(found: TokenStatus) -> list[tuple[str, object]]:
    settings = found.settings
    rows: list[tuple[str, object]] = [
        ("board, firmware", f"{found.board}, {found.firmware}"),
        ("chip's number, its end", found.hardware.hex()[-SHORT_DIGITS:] or "not told"),
        ("application", _application(found)),
        ("safe mode", "yes" if found.safe_mode else "no"),
        ("clock", f"{CLOCKS.get(found.clock_state, 'unknown')}; {_many(found.clock_repairs, 'jump')} put back"),
        ("drift learned, ppm", f"{found.drift_ppm} (board: at most {found.drift_bound_ppm})"),
    ]
    if settings is not None:
        rows += [
            ("profile", settings.profile),
            ("scheme, hears", f"{settings.scheme}, {settings.hear}"),
            ("retention, days", settings.retention_days),
        ]
    return [
        *rows,
        ("pages, bytes in the log", f"{found.pages}, {found.log_bytes}"),
        ("flash", flash_use(found.flash_bytes, found.flash_free_bytes)),
        ("days given up", found.days_given_up),
        ("files put aside", found.files_put_aside),
        ("failed writes", found.failed_writes),
        ("boots, failed just before", f"{found.boots}, {found.failed_boots}"),
        ("last restart", _RESTARTS.get(found.restart_cause, "unknown")),
        ("up for, h", f"{found.uptime_ms / 3_600_000:.1f}"),
        ("lost scan results", found.lost_results),
        ("stale records", found.stale_records),
        ("iPhone connections, without an ID", f"{found.iphone_connections}, {found.iphone_failures}"),
        ("refused addresses", found.address_refusals),
        ("refused proofs", found.refused_proofs),
        ("radio errors, dead scans", f"{found.radio_errors}, {found.dead_scans}"),
        ("heap in use, bytes", found.heap_bytes),
    ]


def flash_use(flash_bytes: int | None, free_bytes: int | None) -> str:
    """Of a token's file system, None where its firmware does not tell."""
    if not flash_bytes or free_bytes is None:
        return "not told"
    return f"{free_bytes // 1024} of {flash_bytes // 1024} KiB free"


def _application(found: TokenStatus) -> str:
    """Slot and update."""
    if found.slot is None:
        return "not told"
    if found.on_trial:
        return f"slot {found.slot or '-'}, on trial"
    results: dict[int, str] = {
        UpdateResult.NONE: "never updated",
        UpdateResult.CONFIRMED: "last update confirmed",
        UpdateResult.ROLLED_BACK: "last update rolled back",
    }
    return f"slot {found.slot or '-'}; {results.get(found.update_result, 'unknown')}"


def _many(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
