"""Who carried which log, beside a lake's encounters: numbers of this lake, never a name, a label or a key.

Matching needs it to leave out what a person's second device heard of the first, and to tell places.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bztoken.lake.columns import CLINIC_BITS, FORMAT
from bztoken.lake.folder import Clinic, Folder, read_json, write_json
from bztoken.matching.bearers import Bearers, Hand

PLACE = 0  # in the lake a place has no number of its own


def lake_wide(number: int, clinic_number: int) -> int:
    """A number of a log or a person of one registry, as this lake tells it."""
    return clinic_number << CLINIC_BITS | number


def write_hands(folder: Folder, clinic_id: str, bearers: Bearers) -> None:
    """As the clinic's registry has them now; whole or not at all."""
    hands = [
        [log, hand.from_s, hand.to_s, hand.person_id, int(hand.site_id is not None)]
        for log in sorted(bearers.hands)
        for hand in bearers.hands[log]
    ]
    said = {"format": FORMAT, "hands": hands, "site_logs": sorted(bearers.site_logs)}
    write_json(folder.hands_file(clinic_id), said)


def read_hands(folder: Folder, clinic_id: str) -> Bearers:
    """By the numbers of the clinic's registry. Raises LakeError."""
    return read_json(folder.hands_file(clinic_id), _bearers)


def read_bearers(folder: Folder, clinics: Mapping[str, Clinic]) -> Bearers:
    """Of these clinics, by the numbers of this lake. Raises LakeError, also when a clinic's are missing."""
    hands: dict[int, list[Hand]] = defaultdict(list)
    site_logs: set[int] = set()
    for clinic_id, clinic in clinics.items():
        of_clinic = read_hands(folder, clinic_id)
        site_logs.update(lake_wide(log, clinic.number) for log in of_clinic.site_logs)
        for log, held in of_clinic.hands.items():
            hands[lake_wide(log, clinic.number)] = [_renumbered(hand, clinic.number) for hand in held]
    return Bearers(hands, frozenset(site_logs))


def forget_idle_hands(folder: Folder, clinics: Iterable[str], still_there: Collection[str]) -> None:
    """Of clinics, by their IDs, of which no encounter is left."""
    for clinic_id in set(clinics) - set(still_there):
        folder.hands_file(clinic_id).unlink(missing_ok=True)


def _renumbered(hand: Hand, clinic_number: int) -> Hand:
    return hand._replace(person_id=None if hand.person_id is None else lake_wide(hand.person_id, clinic_number))


def _bearers(said: Any) -> Bearers:
    hands: dict[int, list[Hand]] = defaultdict(list)
    for log, from_s, to_s, person, is_place in said["hands"]:
        until_s, person_id = (None if number is None else int(number) for number in (to_s, person))
        hands[int(log)].append(Hand(int(from_s), until_s, person_id, PLACE if is_place else None))
    return Bearers(hands, frozenset(int(log) for log in said["site_logs"]))
