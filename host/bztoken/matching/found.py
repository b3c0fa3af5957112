"""What a day's matching found: how it is put together from parts, and kept as bytes between two runs.

The bytes are compressed JSON, never pickle: nothing in them is executed by whoever reads them.
"""

import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bztoken.matching.rules import Score
from bztoken.matching.stays import SiteRows
from bztoken.matching.tolerance import Int64s

_FORMAT = 1


class DayFound(NamedTuple):
    """Scores by (place of the owner, log) of cases and contacts, how many sightings they rest on, and of how many of
    these, heard by tokens, the clock is unknown or known badly (worse than what is granted to an unknown one); and what
    was heard of sites.
    """

    scores: dict[tuple[int, int], Score]
    sightings: int
    unknown_clocks: int
    bad_clocks: int
    at_sites: SiteRows


def merged(parts: Sequence[DayFound]) -> DayFound:
    """Of the shards of one day, which have no pair in common; at least one part."""
    scores = {pair: score for part in parts for pair, score in part.scores.items()}
    at_sites = SiteRows(*(np.concatenate(columns) for columns in zip(*(part.at_sites for part in parts), strict=True)))
    return DayFound(
        scores,
        sum(part.sightings for part in parts),
        sum(part.unknown_clocks for part in parts),
        sum(part.bad_clocks for part in parts),
        at_sites,
    )


def to_bytes(found: DayFound) -> bytes:
    """For `from_bytes`."""
    document = {
        "format": _FORMAT,
        "scores": [[*pair, *score] for pair, score in found.scores.items()],
        "counts": [found.sightings, found.unknown_clocks, found.bad_clocks],
        "at_sites": [column.tolist() for column in found.at_sites],
    }
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode("ascii"), 1)


def from_bytes(raw: bytes) -> DayFound:
    """What `to_bytes` was given, to the last bit of every float. Raises ValueError for anything else."""
    try:
        document = json.loads(zlib.decompress(raw))
        if document["format"] != _FORMAT:
            raise ValueError("kept by another version")
        scores = {(owner, log_id): Score(*values) for owner, log_id, *values in document["scores"]}
        sightings, unknown, bad = document["counts"]
        return DayFound(scores, sightings, unknown, bad, SiteRows(*map(_column, document["at_sites"])))
    except (zlib.error, KeyError, TypeError) as error:
        raise ValueError("not what a day's matching found") from error


def _column(values: list[int]) -> Int64s:
    return np.array(values, dtype=np.int64)
