"""Keys in columns: a province matches a million of them, which as objects would not fit. Nothing here prints a key."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from bztoken.formats.tracing_key import SCHEME_BLUEZONE, SCHEME_GAEN, SCHEMES, TracingKey
from bztoken.matching.tolerance import UNKNOWN, Int64s

KEY_SIZES = {SCHEME_BLUEZONE: 32, SCHEME_GAEN: 16}  # bytes of a day key, of a TEK
KEY_BYTES = max(KEY_SIZES.values())  # a shorter key is padded with zero bytes
NO_KEY = -1  # instead of a scheme: only single IDs are known
_UNTOLD = 1 << 20  # no TX power, no day and no report type
_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class KeyColumns:
    """One row a key; `scheme` is its place in `SCHEMES`, or NO_KEY. Times and slots as in `TracingKey`."""

    scheme: Int64s
    key: _Bytes = field(repr=False)  # (rows, 32)
    time_start_s: Int64s
    slots_per_day: Int64s
    time_end_s: Int64s
    uncertainty_s: Int64s
    tx_power_dbm: Int64s
    report_type: Int64s
    days_since_onset: Int64s

    def __len__(self) -> int:
        return len(self.scheme)

    @classmethod
    def of(cls, keys: Sequence[TracingKey | None]) -> "KeyColumns":
        """In the order given; None for what has no key. Raises ValueError for a scheme that nobody knows."""

        def column(values: list[int]) -> Int64s:
            return np.array(values, dtype=np.int64)

        raw = b"".join(b"".ljust(KEY_BYTES, b"\0") if key is None else key.key.ljust(KEY_BYTES, b"\0") for key in keys)
        known = [_NOBODY if key is None else key for key in keys]
        return cls(
            column([NO_KEY if key is None else SCHEMES.index(key.scheme) for key in keys]),
            np.frombuffer(raw, dtype=np.uint8).reshape(-1, KEY_BYTES),
            column([key.time_start_s for key in known]),
            column([key.slots_per_day for key in known]),
            column([key.time_end_s for key in known]),
            column([_told(key.uncertainty_s, UNKNOWN) for key in known]),
            column([_told(key.tx_power_dbm, _UNTOLD) for key in known]),
            column([_told(key.report_type, _UNTOLD) for key in known]),
            column([_told(key.days_since_onset, _UNTOLD) for key in known]),
        )

    def rows(self, which: Int64s) -> "KeyColumns":
        """Some of them."""
        return KeyColumns(*(getattr(self, one.name)[which] for one in fields(self)))

    def at(self, row: int) -> TracingKey | None:
        """One of them as an object."""
        scheme = int(self.scheme[row])
        if scheme == NO_KEY:
            return None
        return TracingKey(
            SCHEMES[scheme],
            self.key[row, : KEY_SIZES[SCHEMES[scheme]]].tobytes(),
            int(self.time_start_s[row]),
            int(self.slots_per_day[row]),
            int(self.time_end_s[row]),
            tx_power_dbm=_or_none(self.tx_power_dbm[row], _UNTOLD),
            uncertainty_s=_or_none(self.uncertainty_s[row], UNKNOWN),
            report_type=_or_none(self.report_type[row], _UNTOLD),
            days_since_onset=_or_none(self.days_since_onset[row], _UNTOLD),
        )


_NOBODY = TracingKey(SCHEMES[0], b"", 0, 0, -1)


def _told(value: int | None, untold: int) -> int:
    return untold if value is None else value


def _or_none(value: np.int64, untold: int) -> int | None:
    return None if value == untold else int(value)
