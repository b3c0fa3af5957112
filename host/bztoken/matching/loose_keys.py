"""Keys of files, Bluezone case lists and GAEN exports, as peers of a batch: each entry is taken for a case of its own,
since neither kind says which keys belong to one person.
"""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec

from bztoken.formats.case_list import whole_key
from bztoken.formats.gaen_export import HEADER, ZIP_MARK
from bztoken.formats.tracing_key import TracingKey
from bztoken.matching.bearers import Bearers
from bztoken.matching.key_columns import KeyColumns
from bztoken.matching.peers import Kind, Owner, Peers
from bztoken.tracing.case_keys import read_past_export, read_past_list


class LooseKeys(NamedTuple):
    """Keys of files, one after the other; firsts: the number of the first case of each file, from 1."""

    keys: list[TracingKey]
    names: list[str]
    firsts: list[int]

    def name_of(self, case_id: int) -> str:
        """Which entry of which file a case is."""
        place = bisect_right(self.firsts, case_id) - 1
        return f"{self.names[place]}, entry {case_id - self.firsts[place] + 1}"

    def peers(self, bearers: Bearers) -> Peers:
        """Who is looked for."""
        owners = [Owner(Kind.CASE, number, 0) for number in range(1, len(self.keys) + 1)]
        return Peers(KeyColumns.of(self.keys), owners, np.arange(len(self.keys), dtype=np.int64), (), {}, bearers)


def read_keys(
    paths: Sequence[Path], public_key: ec.EllipticCurvePublicKey | None, accept_unverified: bool, now_s: int
) -> LooseKeys:
    """Of every file, in this order. public_key: by which exports must be signed. Raises FormatError: malformed, of the
    future, an export that nobody checked; or OSError.
    """
    keys: list[TracingKey] = []
    firsts = []
    for path in paths:
        firsts.append(len(keys) + 1)
        if _is_export(path):
            keys += read_past_export(path, public_key, accept_unverified, now_s)
        else:
            keys += [whole_key(entry) for entry in read_past_list(path, now_s)]
    return LooseKeys(keys, [path.name for path in paths], firsts)


def _is_export(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HEADER)).startswith((ZIP_MARK, HEADER[:9]))
