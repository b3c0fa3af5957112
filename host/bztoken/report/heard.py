"""What the carriers of a fleet recorded, with times put right: the tokens' pages and the phones' histories."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from bztoken.crypto import aes_ecb
from bztoken.report.flash_pages import read_pages
from bztoken.report.fleet_files import BLUEZONE, GAEN, FleetFiles
from bztoken.report.token_clock import TokenClock
from bzwire import keys
from bzwire.errors import WireError
from bzwire.page import KIND_GAEN, RECORD_STALE, PageHeader, Record, open_page, read_header

RPI_BYTES = 16
PHONES = ("phone", "iphone")
NOTHING_CORRECTED: "Mapping[str, Mapping[PageKey, Corrected]]" = MappingProxyType({})
_CACHED_LOG_KEYS = 64


@dataclass(frozen=True)
class Heard:
    """One record of a token or line of a phone's history; true Unix seconds; stale: the token took it for a replay;
    uncertainty_s: of times that a registry has corrected, without knowing the truth.
    """

    hearer: str
    kind: str
    rotating_id: bytes
    first_s: float
    last_s: float
    stale: bool = False
    uncertainty_s: float = 0.0


@dataclass(frozen=True)
class Corrected:
    """What a registry knows of a page's clock: s by which it was ahead, and how far that may be off."""

    ahead_s: float
    uncertainty_s: float


PageKey = tuple[int, int]  # boot id, sequence


@lru_cache(maxsize=_CACHED_LOG_KEYS)
def _log_key(first_log_key: bytes, number: int) -> bytes:
    return keys.next_log_key(first_log_key, number)


@dataclass(frozen=True)
class TokenLog:
    """records: with true times; damaged: pages that do not open with the token's key."""

    records: list[Heard]
    pages: int
    damaged: int


def token_log(files: FleetFiles, name: str, pages: Iterable[bytes], corrected: Mapping[PageKey, Corrected]) -> TokenLog:
    """Open a token's pages; each counts once, whether it comes from the flash, from a registry or from both.

    corrected: times as a registry has them; of other pages the truth puts them right.
    """
    found: list[Heard] = []
    opened: set[PageKey] = set()
    damaged = 0
    clock = TokenClock(files.clocks.get(name) or [(files.start_s, 0.0)])
    for page in pages:
        try:
            number = read_header(page).log_key_number
            header, records = open_page(page, _log_key(files.log_keys[name], number), aes_ecb)
        except WireError:
            damaged += 1
            continue
        if (header.boot_id, header.sequence) not in opened:
            opened.add((header.boot_id, header.sequence))
            known = corrected.get((header.boot_id, header.sequence))
            found += [_heard(files, name, known or clock, header, record) for record in records]
    # Tokens that were plugged in later went on listening, beside others of whom the truth knows nothing.
    return TokenLog([heard for heard in found if heard.first_s <= files.end_s], len(opened), damaged)


def _heard(files: FleetFiles, name: str, clock: TokenClock | Corrected, header: PageHeader, record: Record) -> Heard:
    gaen = record.kind == KIND_GAEN
    rotating_id = record.rotating_id[:RPI_BYTES] if gaen else record.rotating_id
    first_s, last_s = float(header.window_start_s + record.first_s), float(header.window_start_s + record.last_s)
    uncertainty_s = 0.0
    if isinstance(clock, Corrected):
        first_s, last_s, uncertainty_s = first_s - clock.ahead_s, last_s - clock.ahead_s, clock.uncertainty_s
    else:
        first_s = _nearest(files, rotating_id, clock.true_times(first_s))
        last_s = _nearest(files, rotating_id, clock.true_times(last_s))
    stale = bool(record.flags & RECORD_STALE)
    kind = GAEN if gaen else BLUEZONE
    return Heard(name, kind, rotating_id, first_s, max(first_s, last_s), stale, uncertainty_s)


def _nearest(files: FleetFiles, rotating_id: bytes, times_s: list[float]) -> float:
    """Of the times at which the clock said the same, the one that fits when the ID was on the air."""
    on_air = files.ids.get(rotating_id)
    if on_air is None or len(times_s) == 1:
        return times_s[0]
    return min(times_s, key=lambda time_s: max(on_air.first_s - time_s, time_s - on_air.last_s, 0))


def phone_history(files: FleetFiles, name: str) -> list[Heard]:
    """What a phone or an iPhone recorded; its clock is right."""
    found = []
    for line in (files.folder / f"phone-{name}.tsv").read_text().splitlines():
        _, contact_id, _, unix_ms = line.split("\t")
        time_s = int(unix_ms) / 1000
        found.append(Heard(name, BLUEZONE, bytes.fromhex(contact_id), time_s, time_s))
    return found


@dataclass(frozen=True)
class Logs:
    """Of all carriers."""

    tokens: dict[str, TokenLog]
    phones: dict[str, list[Heard]]

    def records(self) -> list[Heard]:
        """Of the tokens alone."""
        return [heard for log in self.tokens.values() for heard in log.records]

    def everything(self) -> list[Heard]:
        """Of tokens and phones."""
        return self.records() + [heard for history in self.phones.values() for heard in history]


def read_logs(
    files: FleetFiles,
    imported: Mapping[str, list[bytes]],
    corrected: Mapping[str, Mapping[PageKey, Corrected]] = NOTHING_CORRECTED,
) -> Logs:
    """From the flash images, and by carrier the pages that a registry took before the token deleted them, with what it
    knows of their clocks.
    """
    tokens = {}
    for carrier in files.carriers.values():
        if carrier.carries == "token":
            pages = read_pages(files.folder / carrier.folder / "flash.bin")
            pages += imported.get(carrier.name, [])
            tokens[carrier.name] = token_log(files, carrier.name, pages, corrected.get(carrier.name, {}))
    phones = {name: phone_history(files, name) for name, who in files.carriers.items() if who.carries in PHONES}
    return Logs(tokens, phones)
