"""How well a virtual fleet recorded its true encounters: recall by contact length and distance, precision, links.

An encounter counts as recorded by one of the two when that one's log holds an ID which the other had on the air, at a
time within the encounter. Records are right when their ID was on the air then, by somebody within EARSHOT_M.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from bztoken.report.fleet_files import Carrier, Encounter, FleetFiles
from bztoken.report.heard import Heard, Logs

# (from, below) minutes and metres
LENGTHS_MIN = ((2, 5), (5, 10), (10, 15), (15, 30), (30, None))
DISTANCES_M = ((0, 1), (1, 2), (2, 5), (5, 10))
EARSHOT_M = 60.0
# A page tells seconds, and a log is written once a window.
TIME_SLACK_S = 60.0
EDGE_SLACK_S = 2.0
UNWRITTEN_S = 330  # the last window of a run is not in the flash yet
KEPT_DAYS = 14
DAY_S = 86400
BOTH = "token and token"


@dataclass
class Bucket:
    """Encounters of one length and distance. a is the one whose name comes first; in groups where only one of the two
    records, that one.
    """

    encounters: int = 0
    by_a: int = 0
    by_b: int = 0
    by_both: int = 0

    def count(self, by_a: bool, by_b: bool) -> None:
        """One more encounter, recorded by these."""
        self.encounters += 1
        self.by_a += by_a
        self.by_b += by_b
        self.by_both += by_a and by_b

    def document(self, group: str) -> dict[str, int]:
        """For --json."""
        counts = {"encounters": self.encounters, "by_a": self.by_a}
        return {**counts, "by_b": self.by_b, "by_both": self.by_both} if group == BOTH else counts


Buckets = dict[tuple[int, int], Bucket]  # by index into LENGTHS_MIN and DISTANCES_M
PairKey = tuple[str, str, str, int]  # group, a, b, index into LENGTHS_MIN


@dataclass(frozen=True)
class Precision:
    """Tokens' records: right, of an ID that nobody broadcast (or the token itself), at a wrong time, from too far away;
    stale ones, which the token itself marked as replayed, are in none of these.
    """

    right: int
    unknown: int
    mistimed: int
    far: int
    stale: int

    @property
    def share(self) -> float | None:
        """Right ones among those that were judged; None without any."""
        judged = self.right + self.unknown + self.mistimed + self.far
        return self.right / judged if judged else None


@dataclass(frozen=True)
class FleetScore:
    """groups: "token and token", "token hears phone", "phone hears token" and so on, only those that met; pairs: the
    same by pair and contact length, for worlds in which each pair tries something else.
    """

    groups: dict[str, Buckets]
    pairs: dict[PairKey, Bucket]
    precision: Precision
    pages: int
    damaged_pages: int
    air: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """For --json."""
        recall = {
            group: [
                {**_bands(length, distance), **bucket.document(group)}
                for (length, distance), bucket in sorted(buckets.items())
            ]
            for group, buckets in self.groups.items()
        }
        pairs = [
            {"who": group, "a": a, "b": b, **_bands(length), **bucket.document(group)}
            for (group, a, b, length), bucket in sorted(self.pairs.items())
        ]
        return {
            "recall": recall,
            "pairs": pairs,
            "precision": {**self.precision.__dict__, "share": self.precision.share},
            "pages": self.pages,
            "damaged_pages": self.damaged_pages,
            "air": self.air,
        }


def band_name(band: tuple[int, int | None]) -> str:
    """ "2-5" or "30+"."""
    low, high = band
    return f"{low}+" if high is None else f"{low}-{high}"


def _bands(length: int, distance: int | None = None) -> dict[str, str]:
    named = {"minutes": band_name(LENGTHS_MIN[length])}
    return named if distance is None else {**named, "metres": band_name(DISTANCES_M[distance])}


def _index(bands: Iterable[tuple[int, int | None]], value: float) -> int | None:
    for index, (low, high) in enumerate(bands):
        if low <= value and (high is None or value < high):
            return index
    return None


class _Recorded:
    """Who recorded whom when: the tokens' and phones' records, told apart by the true owner of each ID."""

    def __init__(self, files: FleetFiles, heard: Iterable[Heard]) -> None:
        self._times: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        for one in heard:
            owner = files.ids.get(one.rotating_id)
            if owner is not None and not one.stale and owner.kind == one.kind:
                # The ID's own life bounds when it can have been heard, however wrong the clock was.
                first_s = max(one.first_s - one.uncertainty_s, owner.first_s)
                last_s = min(one.last_s + one.uncertainty_s, owner.last_s)
                if last_s >= first_s - TIME_SLACK_S:
                    self._times[one.hearer, owner.carrier].append((min(first_s, last_s), max(first_s, last_s)))

    def within(self, hearer: str, other: str, encounter: Encounter) -> bool:
        """True when there is a record of the encounter."""
        start_s, end_s = encounter.start_s - EDGE_SLACK_S, encounter.end_s + EDGE_SLACK_S
        return any(first_s <= end_s and last_s >= start_s for first_s, last_s in self._times[hearer, other])


def _group(a: Carrier, b: Carrier) -> list[tuple[str, Carrier, Carrier]]:
    """(group, who records, whom) of a pair; nothing for those who cannot hear each other or are no concern of ours."""
    if a.carries == b.carries == "token":
        return [(BOTH, a, b)] if b.scheme in a.hears and a.scheme in b.hears else _one_way(a, b) + _one_way(b, a)
    return _one_way(a, b) + _one_way(b, a) if "token" in (a.carries, b.carries) else []


def _one_way(hearer: Carrier, other: Carrier) -> list[tuple[str, Carrier, Carrier]]:
    if other.scheme not in hearer.hears:
        return []
    return [(f"{hearer.carries} hears {other.carries}", hearer, other)]


def _clipped(encounter: Encounter, since_s: float, until_s: float) -> Encounter:
    """Only what the logs can still and already hold."""
    start_s, end_s = max(encounter.start_s, since_s), min(encounter.end_s, until_s)
    cut_min = (encounter.end_s - encounter.start_s - (end_s - start_s)) / 60
    return replace(encounter, start_s=start_s, end_s=end_s, minutes=encounter.minutes - cut_min)


def _recall(files: FleetFiles, recorded: _Recorded) -> tuple[dict[str, Buckets], dict[PairKey, Bucket]]:
    groups: dict[str, Buckets] = defaultdict(lambda: defaultdict(Bucket))
    pairs: dict[PairKey, Bucket] = defaultdict(Bucket)
    since_s = max(files.start_s, (files.end_s // DAY_S - KEPT_DAYS + 1) * DAY_S)
    for whole in files.encounters:
        encounter = _clipped(whole, since_s, files.end_s - UNWRITTEN_S)
        length, distance = _index(LENGTHS_MIN, encounter.minutes), _index(DISTANCES_M, encounter.mean_m)
        if length is None or distance is None:
            continue
        for group, a, b in _group(files.carriers[encounter.a], files.carriers[encounter.b]):
            by_a = recorded.within(a.name, b.name, encounter)
            by_b = group == BOTH and recorded.within(b.name, a.name, encounter)
            groups[group][length, distance].count(by_a, by_b)
            pairs[group, a.name, b.name, length].count(by_a, by_b)
    return {group: dict(buckets) for group, buckets in sorted(groups.items())}, dict(pairs)


def _judge(files: FleetFiles, heard: Heard) -> str:
    owner = files.ids.get(heard.rotating_id)
    if heard.stale:
        return "stale"
    if owner is None or owner.kind != heard.kind or owner.carrier == heard.hearer:
        return "unknown"
    slack_s = TIME_SLACK_S + heard.uncertainty_s
    if heard.first_s > owner.last_s + slack_s or heard.last_s < owner.first_s - slack_s:
        return "mistimed"
    times_s = (heard.first_s, (heard.first_s + heard.last_s) / 2, heard.last_s)
    near = min(files.distance_m(heard.hearer, owner.carrier, time_s) for time_s in times_s) <= EARSHOT_M
    return "right" if near else "far"


def score(files: FleetFiles, logs: Logs) -> FleetScore:
    """Hold the logs of a fleet against its truth."""
    judged = Counter(_judge(files, heard) for heard in logs.records())
    return FleetScore(
        *_recall(files, _Recorded(files, logs.everything())),
        Precision(**{verdict: judged[verdict] for verdict in ("right", "unknown", "mistimed", "far", "stale")}),
        sum(log.pages for log in logs.tokens.values()),
        sum(log.damaged for log in logs.tokens.values()),
        files.air,
    )


def chart_group(found: FleetScore) -> str:
    """The group that a chart shows: two tokens if such met, else the group with the most encounters; "" for none."""
    if BOTH in found.groups:
        return BOTH
    met = {group: sum(bucket.encounters for bucket in buckets.values()) for group, buckets in found.groups.items()}
    return max(met, key=lambda group: met[group], default="")
