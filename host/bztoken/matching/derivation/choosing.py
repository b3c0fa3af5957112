"""Which way IDs are derived: `plain` until it has lost as much time as numba takes to start, `compiled` from then on.

So few keys never wait for numba, and many lose no more than that half second, in however many calls they come.
"""

import sys
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bztoken.formats.tracing_key import SCHEME_BLUEZONE
from bztoken.matching.derivation import plain
from bztoken.matching.tolerance import Int64s

_Bytes = npt.NDArray[np.uint8]
# Measured by `tests/bench/derivation_variants.py` on one core: what an ID costs more in `plain`, and what it takes to
# import numba and to load loops that were compiled before. Break-even: 1.1 million IDs of Bluezone, 22 million of GAEN.
_BLUEZONE_ID_S, _GAEN_ID_S = 0.5e-6, 0.025e-6
_NUMBA_S, _LOOPS_S = 0.25, 0.3


class Way(Protocol):
    """What both modules offer."""

    def bluezone_ids(self, day_keys: _Bytes, slots: Int64s) -> tuple[Int64s, Int64s]: ...
    def gaen_ids(self, teks: _Bytes, first_interval: Int64s, slots: Int64s) -> tuple[Int64s, Int64s]: ...
    def next_day_keys(self, day_keys: _Bytes) -> _Bytes: ...
    def lay_out(self, start_s: Int64s, slots: Int64s, slot_s: int) -> tuple[Int64s, Int64s]: ...


class Choice:
    """Remembers what this process has derived; of no use to anybody else."""

    def __init__(self) -> None:
        self._plain_s = 0.0
        self._compiled: Way | None = None
        self._missing = False

    def way(self, scheme_name: str, ids: int) -> Way:
        """For so many more IDs."""
        if self._compiled is None and not self._missing:
            self._plain_s += ids * (_BLUEZONE_ID_S if scheme_name == SCHEME_BLUEZONE else _GAEN_ID_S)
            if self._plain_s > _LOOPS_S + (0 if "numba" in sys.modules else _NUMBA_S):
                self._load()
        return self._compiled or plain

    def _load(self) -> None:
        try:
            from bztoken.matching.derivation import compiled
        except ImportError:  # numba is an extra, and may be one that cannot work here
            self._missing = True
        else:
            self._compiled = compiled
