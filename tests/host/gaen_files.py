"""Makes diagnosis-key exports for tests, right and wrong ones: by the library, or byte by byte where that refuses."""

import io
import zipfile
from pathlib import Path
from typing import Any

from bztoken.formats import gaen_messages
from bztoken.formats.gaen_export import HEADER

SAMPLES = Path(__file__).parent.parent / "data" / "gaen_exports"
START_S = 1_596_844_800  # 2020-08-08 00:00 UTC
INTERVAL = START_S // 600
KEY = bytes(range(0xA0, 0xB0))


def key(**changes: Any) -> Any:
    """A key of the day that is right in everything, but for the changes."""
    return gaen_messages.Key(**{"key_data": KEY, "rolling_start_interval_number": INTERVAL} | changes)


def export(*keys: Any, **changes: Any) -> bytes:
    """export.bin with these keys."""
    right = {"start_timestamp": START_S, "end_timestamp": START_S + 86_400, "region": "VN", "keys": keys}
    return HEADER + gaen_messages.Export(**right | changes).SerializeToString()


def signatures(**changes: Any) -> bytes:
    """export.sig with one signature, which is none."""
    right = {"batch_num": 1, "batch_size": 1, "signature": b"0"}
    signature = gaen_messages.Signature(**right | changes)
    return gaen_messages.SignatureList(signatures=[signature]).SerializeToString()


def zipped(files: dict[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", packed) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()
