"""What must be true of the rows of a day's file, whoever wrote it. Piece by piece, in the order of the file."""

import numpy as np

from bztoken.lake.columns import CLINIC_BITS, MOST_UNCERTAIN_S
from bztoken.lake.day_file import Columns, Place
from bztoken.lake.folder import start_s
from bztoken.matching.tolerance import UNKNOWN, Int64s
from bzwire.bluezone import DAY_S


class RowChecks:
    """Of one file; remembers where the piece before ended."""

    def __init__(self, place: Place, clinic_number: int) -> None:
        self._place = place
        self._clinic_number = clinic_number
        self._start_s = self._last_s = start_s(place.day)

    def require(self, rows: Columns) -> None:
        """Looks at those of first_s, last_s, uncertainty_s, gaen and log that are there. Raises LakeError."""
        first_s = rows["first_s"]
        if not len(first_s):
            return
        if int(first_s.min()) < self._start_s or int(first_s.max()) >= self._start_s + DAY_S:
            raise self._place.refuse("it has sightings of another day")
        if int(first_s[0]) < self._last_s or bool(np.any(first_s[1:] < first_s[:-1])):
            raise self._place.refuse("its rows are not in order of time")
        self._last_s = int(first_s[-1])
        if bool(np.any(rows["last_s"] < first_s)):
            raise self._place.refuse("it has sightings that end before they begin")
        uncertainty_s = rows["uncertainty_s"]
        if int(uncertainty_s.min()) < UNKNOWN or int(uncertainty_s.max()) > MOST_UNCERTAIN_S:
            raise self._place.refuse("it has a clock that may be off by more than a day")
        if int(rows["gaen"].min()) < 0 or int(rows["gaen"].max()) > 1:
            raise self._place.refuse("it has IDs of an unknown kind")
        if "log" in rows and bool(np.any(rows["log"] >> CLINIC_BITS != self._clinic_number)):
            raise self._place.refuse("it has logs of another clinic")


class PagesSeen:
    """Which pages of which logs the files of one day have: a page is in one file only, or its sightings count twice.

    The lines of a phone are one page.
    """

    def __init__(self) -> None:
        self._pairs: list[tuple[Place, Int64s, Int64s]] = []

    def add(self, place: Place, log: Int64s, page: Int64s) -> None:
        """Those of one file, all at once. Raises LakeError when a file before had one of them."""
        log, page = unique_pairs(log, page)
        for other, logs, pages in self._pairs:
            together, _ = unique_pairs(np.concatenate([log, logs]), np.concatenate([page, pages]))
            if len(together) < len(log) + len(logs):
                raise place.refuse(f"it has pages that the source {other.record.name} has too")
        self._pairs.append((place, log, page))


def unique_pairs(log: Int64s, page: Int64s) -> tuple[Int64s, Int64s]:
    """Each pair once, in order of log, then page."""
    order = np.lexsort((page, log))
    log, page = log[order], page[order]
    new = np.ones(len(log), dtype=np.bool_)
    new[1:] = (log[1:] != log[:-1]) | (page[1:] != page[:-1])
    return log[new], page[new]
