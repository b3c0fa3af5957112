"""Writes signed diagnosis-key exports, padded so that their length does not say how many people are ill.

Padding follows Google's server (exposure-notifications-server, internal/export/worker.go, ensureMinNumExposures): keys
of nobody with the other values of real ones, up to 10 % more than asked for, all sorted by key. What is longer anyway
is not padded, nor are revised keys, which were in an export before. That server keeps its padding: a key that is in two
exports with different padding is real. Ours follows from key and signing key, so it is the same without being kept.
"""

import hashlib
import hmac
import io
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bztoken.errors import CaseError
from bztoken.formats import gaen_messages
from bztoken.formats.export_signature import ALGORITHM, sign
from bztoken.formats.gaen_export import EXPORT_NAME, HEADER, KEY_BYTES, MAX_KEYS, MAX_TIME_S, SIGNATURE_NAME, GaenKey
from bztoken.out_files import write_whole

PAD_TO = 1000  # the server's EXPORT_FILE_MIN_RECORDS
JITTER_SHARE = 10  # one part in ten, as the server's EXPORT_FILE_PADDING_RANGE of 100
HOUR_S = 3600  # the server's TRUNCATE_WINDOW
MAX_TEXT = 64
_PADDING_INFO = b"bztoken export padding 1"
_SCALAR_BYTES = 32
_MADE_AT = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # of the files in the zip, as the server leaves it: the hour of work is nobody's business


def write_export(
    path: Path,
    keys: Sequence[GaenKey],
    *,
    region: str,
    start_s: int,
    end_s: int,
    private_key: ec.EllipticCurvePrivateKey,
    key_id: str,
    key_version: str,
    pad_to: int = PAD_TO,
    revised_keys: Sequence[GaenKey] = (),
) -> int:
    """Write the zip, whole or not at all, and tell how many keys it holds with the padding.

    start_s, end_s: in which time the keys were recorded, widened to whole hours. key_id is by custom the mobile country
    code. The same arguments give the same bytes. Raises CaseError for what no export may hold, PrintError when it
    cannot be written.
    """
    _require(keys, revised_keys, (region, key_id, key_version), start_s, end_s)
    padded = [*keys, *padding(keys, private_key, pad_to)]
    message = gaen_messages.Export(
        start_timestamp=start_s // HOUR_S * HOUR_S,
        end_timestamp=-(-end_s // HOUR_S) * HOUR_S,
        region=region,
        batch_num=1,
        batch_size=1,
        signature_infos=[_info(key_id, key_version)],
        keys=_sorted(padded),
        revised_keys=_sorted(revised_keys),
    )
    content = HEADER + message.SerializeToString(deterministic=True)
    signature = gaen_messages.Signature(
        signature_info=_info(key_id, key_version), batch_num=1, batch_size=1, signature=sign(content, private_key)
    )
    signatures = gaen_messages.SignatureList(signatures=[signature]).SerializeToString(deterministic=True)
    write_whole(path, _zip({EXPORT_NAME: content, SIGNATURE_NAME: signatures}))
    return len(padded)


def padding(keys: Sequence[GaenKey], private_key: ec.EllipticCurvePrivateKey, pad_to: int) -> list[GaenKey]:
    """Keys of nobody, each with the other values of a key of somebody; the same for the same keys and signing key."""
    secret = _padding_secret(private_key)
    sources = sorted(keys, key=lambda key: key.key)
    digest = hmac.digest(secret, b"".join(key.key for key in sources), hashlib.sha256)
    target = min(pad_to + int.from_bytes(digest[:8], "big") % (pad_to // JITTER_SHARE + 1), MAX_KEYS)
    return [
        _stand_in(sources[number % len(sources)], number // len(sources), secret)
        for number in range(target - len(sources))
    ]


def _padding_secret(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    scalar = private_key.private_numbers().private_value.to_bytes(_SCALAR_BYTES, "big")
    return HKDF(SHA256(), length=32, salt=None, info=_PADDING_INFO).derive(scalar)


def _stand_in(source: GaenKey, number: int, secret: bytes) -> GaenKey:
    seed = source.key + struct.pack(">II", source.start_interval, number)
    return GaenKey(
        hmac.digest(secret, seed, hashlib.sha256)[:KEY_BYTES],
        source.start_interval,
        source.rolling_period,
        source.transmission_risk,
        source.report_type,
        source.days_since_onset,
    )


def _require(
    keys: Sequence[GaenKey], revised_keys: Sequence[GaenKey], texts: Sequence[str], start_s: int, end_s: int
) -> None:
    """Raises CaseError."""
    if not keys:
        raise CaseError("there are no keys to export: nothing was written, since padding hides nothing without them")
    if len(keys) + len(revised_keys) > MAX_KEYS:
        raise CaseError(f"an export holds at most {MAX_KEYS} keys: nothing was written, export a shorter time")
    for key in (*keys, *revised_keys):
        problem = key.problem()
        if problem is not None:
            raise CaseError(f"a key cannot be exported ({problem}): nothing was written")
    if not 0 < start_s <= end_s < MAX_TIME_S - HOUR_S:
        raise CaseError("start and end of an export are seconds in order, before the year 2100: nothing was written")
    if any(len(text) > MAX_TEXT or not text.isprintable() for text in texts):
        raise CaseError(
            f"region, key ID and key version have at most {MAX_TEXT} letters, in one line: nothing was written"
        )


def _sorted(keys: Sequence[GaenKey]) -> list[Any]:
    """By key, so that neither people nor padding can be told by the order."""
    return [_message(key) for key in sorted(keys, key=lambda key: (key.key, key.start_interval))]


def _message(key: GaenKey) -> Any:
    message = gaen_messages.Key(key_data=key.key, rolling_start_interval_number=key.start_interval)
    if key.rolling_period != gaen_messages.DEFAULT_ROLLING_PERIOD:
        message.rolling_period = key.rolling_period
    if key.transmission_risk:
        message.transmission_risk_level = key.transmission_risk
    if key.report_type:
        message.report_type = key.report_type
    if key.days_since_onset is not None:
        message.days_since_onset_of_symptoms = key.days_since_onset
    return message


def _info(key_id: str, key_version: str) -> Any:
    return gaen_messages.SignatureInfo(
        verification_key_version=key_version, verification_key_id=key_id, signature_algorithm=ALGORITHM
    )


def _zip(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _MADE_AT), content, zipfile.ZIP_DEFLATED)
    return whole.getvalue()
