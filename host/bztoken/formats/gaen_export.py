"""Diagnosis-key exports of GAEN servers: a zip of export.bin and export.sig, or export.bin alone.

Strict: an export that is wrong in one key is refused as a whole, with the place, since half an export would call people
safe who are not. What the signature is worth tells `GaenExport.verdict`; who reads an export has to ask: nothing else
shows that an export.bin was cut between two keys.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from bztoken.errors import FormatError
from bztoken.formats import gaen_messages
from bztoken.formats.export_signature import Verdict, verdict
from bztoken.formats.gaen_messages import DEFAULT_ROLLING_PERIOD, Member

HEADER = b"EK Export v1    "
EXPORT_NAME, SIGNATURE_NAME = "export.bin", "export.sig"
KEY_BYTES = 16
INTERVAL_S = 600
MAX_TIME_S = 4_102_444_800  # 2100-01-01

# Our bounds on what a file may cost a reader. Google's server writes at most 500,000 keys (EXPORT_FILE_MAX_RECORDS).
MAX_KEYS = 750_000
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_SIGNATURES = 16
MAX_SIGNATURE_FILE_BYTES = 64 * 1024
_MAX_MEMBERS = 16  # in a zip that is looked into, to say what is wrong with it
ZIP_MARK = b"PK"
_CENTRAL_ENTRY = b"PK\x01\x02"
_MAX_TEXT = 64

MIN_START_INTERVAL = 2_577_168  # 2019-01-01, our choice: GAEN began in 2020, published samples have keys of 2019-09
MAX_START_INTERVAL = MAX_TIME_S // INTERVAL_S
MAX_ROLLING_PERIOD = 144
MAX_RISK = 8  # Exposure Notification, TransmissionRiskLevel
MAX_REPORT_TYPE = REVOKED = 5
MAX_ONSET_DAYS = 14


@dataclass(frozen=True, slots=True)
class GaenKey:
    """A temporary exposure key; its first interval (of 600 s since 1970), and how many intervals it was on the air.

    report_type: 0 unknown, 1 confirmed by test, 2 clinical diagnosis, 3 self-report, 4 recursive, 5 revoked.
    days_since_onset: of symptoms, None where it is not told; transmission_risk: 0 to 8, by servers before 2020-10.
    """

    key: bytes = field(repr=False)
    start_interval: int
    rolling_period: int = DEFAULT_ROLLING_PERIOD
    transmission_risk: int = 0
    report_type: int = 0
    days_since_onset: int | None = None

    @property
    def start_s(self) -> int:
        """When it began."""
        return self.start_interval * INTERVAL_S

    @property
    def end_s(self) -> int:
        """Its last second."""
        return self.start_s + self.rolling_period * INTERVAL_S - 1

    def problem(self) -> str | None:
        """What no export may hold, in words; None when there is nothing."""
        if len(self.key) != KEY_BYTES:
            return f"the key has {len(self.key)} bytes where there are {KEY_BYTES}"
        if not MIN_START_INTERVAL <= self.start_interval < MAX_START_INTERVAL:
            return "its first interval is not between 2019 and 2100"
        if not 1 <= self.rolling_period <= MAX_ROLLING_PERIOD:
            return f"its rolling period is not between 1 and {MAX_ROLLING_PERIOD}"
        if not 0 <= self.transmission_risk <= MAX_RISK:
            return f"its transmission risk is not between 0 and {MAX_RISK}"
        if not 0 <= self.report_type <= MAX_REPORT_TYPE:
            return f"its report type is none of 0 to {MAX_REPORT_TYPE}"
        if self.days_since_onset is not None and abs(self.days_since_onset) > MAX_ONSET_DAYS:
            return f"its days since the onset of symptoms are not between -{MAX_ONSET_DAYS} and {MAX_ONSET_DAYS}"
        return None


@dataclass(frozen=True)
class SignatureInfo:
    """By which key a file was signed, as its author says; version and key_id tell keys apart, for people."""

    key_id: str
    key_version: str
    algorithm: str


@dataclass(frozen=True)
class GaenExport:
    """An export; start_s and end_s: in which time its keys came to the server. content: what is signed."""

    start_s: int
    end_s: int
    region: str
    batch_num: int
    batch_size: int
    keys: tuple[GaenKey, ...]
    revised_keys: tuple[GaenKey, ...]
    signature_infos: tuple[SignatureInfo, ...]
    content: bytes = field(repr=False)
    signatures: tuple[bytes, ...] = field(repr=False)

    def in_force(self) -> list[GaenKey]:
        """What holds after all: a revised key stands in the place of the same key before, and may be taken back."""
        known = {(key.key, key.start_interval): key for key in (*self.keys, *self.revised_keys)}
        return [key for key in known.values() if key.report_type != REVOKED]

    def verdict(self, key: ec.EllipticCurvePublicKey | None) -> Verdict:
        """UNVERIFIED without a key, and for an export that nobody signed."""
        return verdict(self.content, self.signatures, key)


def read_export(path: Path) -> GaenExport:
    """The whole export. Raises FormatError, with member, byte and key where they are known, or OSError."""
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise FormatError(path, None, f"the file is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB: ask for parts")
    if raw.startswith(HEADER[:9]):
        return _export(Member(path, EXPORT_NAME, raw, len(HEADER)), None)
    if not raw.startswith(ZIP_MARK):
        raise FormatError(path, None, "this is neither a zip nor an export.bin: it is no GAEN export")
    return _export(*_members(path, raw))


def _members(path: Path, raw: bytes) -> tuple[Member, Member]:
    """export.bin and export.sig from a zip, and nothing else. Raises FormatError."""
    if raw.count(_CENTRAL_ENTRY) > _MAX_MEMBERS:
        raise FormatError(path, None, "the zip holds far more than export.bin and export.sig: it is no export")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = sorted(info.filename for info in archive.infolist())
            for name in (EXPORT_NAME, SIGNATURE_NAME):
                if names.count(name) != 1:
                    raise FormatError(
                        path, None, f"the zip has {'no' if name not in names else 'more than one'} {name}"
                    )
            if len(names) != 2:
                raise FormatError(path, None, "the zip holds more than export.bin and export.sig: it is no export")
            content = _content(path, archive, EXPORT_NAME, MAX_FILE_BYTES)
            signature = _content(path, archive, SIGNATURE_NAME, MAX_SIGNATURE_FILE_BYTES)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, OSError):
        # Cut short, a checksum that is wrong, closed with a password, packed in a way that exports are not.
        raise FormatError(path, None, "the zip is damaged or of another kind: fetch the file again") from None
    return Member(path, EXPORT_NAME, content, len(HEADER)), Member(path, SIGNATURE_NAME, signature)


def _content(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Never more than `limit`, whatever the zip says."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError("no server packs an export like this")
    with archive.open(info) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise FormatError(path, None, f"{name} is larger than {limit // 1024} KiB: it is of no export")
    return content


def _export(member: Member, signature: Member | None) -> GaenExport:
    if member.raw[: len(HEADER)] != HEADER:
        raise member.wrong(f'it does not begin with "{HEADER.decode().strip()}": it is no export of this version', 0)
    key_places, revised_places = _places(member)
    message = member.parse(gaen_messages.Export)
    start_s, end_s = message.start_timestamp, message.end_timestamp
    if not 0 < start_s <= end_s < MAX_TIME_S:
        raise member.wrong("start and end are missing, or no seconds in order before the year 2100")
    batch = _batch(member, message)
    infos = tuple(_info(member, info) for info in message.signature_infos)
    return GaenExport(
        start_s,
        end_s,
        _text(member, message.region, "region"),
        *batch,
        tuple(_keys(member, message.keys, key_places, "key")),
        tuple(_keys(member, message.revised_keys, revised_places, "revised key")),
        infos,
        member.raw,
        () if signature is None else _signatures(signature, batch, infos),
    )


def _places(member: Member) -> tuple[list[int], list[int]]:
    """Where keys and revised keys begin; nothing is decoded before it is known to be of a bearable number."""
    places: dict[int, list[int]] = {
        gaen_messages.KEYS: [],
        gaen_messages.REVISED_KEYS: [],
        gaen_messages.SIGNATURE_INFOS: [],
    }
    for found in gaen_messages.fields(member, member.start, len(member.raw)):
        if found.is_bytes and found.number in places:
            places[found.number].append(found.start)
    keys, revised, infos = places.values()
    if len(keys) + len(revised) > MAX_KEYS:
        raise member.wrong(f"it has more than {MAX_KEYS} keys: ask for parts")
    if len(infos) > MAX_SIGNATURES:
        raise member.wrong(f"it names more than {MAX_SIGNATURES} signatures: it is of no export")
    return keys, revised


def _keys(member: Member, messages: Any, places: list[int], word: str) -> Iterator[GaenKey]:
    for number, (message, place) in enumerate(zip(messages, places, strict=True), 1):
        key = GaenKey(
            message.key_data,
            message.rolling_start_interval_number,
            message.rolling_period,
            message.transmission_risk_level,
            message.report_type,
            message.days_since_onset_of_symptoms if message.HasField("days_since_onset_of_symptoms") else None,
        )
        problem = key.problem()
        if problem is not None:
            raise member.wrong(problem, place, f"{word} {number}")
        yield key


def _batch(member: Member, message: Any) -> tuple[int, int]:
    """Number and size; servers have written 1 of 1 only since 2020-11, so that is what a missing one means."""
    number = message.batch_num if message.HasField("batch_num") else 1
    size = message.batch_size if message.HasField("batch_size") else 1
    if not 1 <= number <= size:
        raise member.wrong(f"batch {number} of {size} cannot be")
    return number, size


def _info(member: Member, info: Any) -> SignatureInfo:
    return SignatureInfo(
        _text(member, info.verification_key_id, "key ID of a signature"),
        _text(member, info.verification_key_version, "key version of a signature"),
        _text(member, info.signature_algorithm, "algorithm of a signature"),
    )


def _text(member: Member, value: object, what: str) -> str:
    """It is shown on terminals. The library gives bytes for what is no UTF-8."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise member.wrong(f"the {what} is not one line of text of at most {_MAX_TEXT} letters")
    return value


def _signatures(member: Member, batch: tuple[int, int], infos: tuple[SignatureInfo, ...]) -> tuple[bytes, ...]:
    """Raises FormatError for a list that belongs to another export."""
    if sum(1 for _ in gaen_messages.fields(member, 0, len(member.raw))) > MAX_SIGNATURES:
        raise member.wrong(f"it has more than {MAX_SIGNATURES} signatures: it is of no export")
    signatures = []
    for message in member.parse(gaen_messages.SignatureList).signatures:
        info = _info(member, message.signature_info)
        if _batch(member, message) != batch or (infos and info.key_id not in {known.key_id for known in infos}):
            raise member.wrong("the signature is of another export: fetch the file again")
        signatures.append(message.signature)
    return tuple(signatures)
