"""From scores to exposures of people: who is a contact of a case (F1), who of a contact (F2), and which was a place."""

from collections.abc import Mapping
from typing import NamedTuple

from bztoken.matching.rules import VERDICT_F1, VERDICT_NOTED, Score

VERDICT_F2 = "F2"
VERDICT_PLACE = "place"  # a case, or its contact, was near a site's token: nobody is to be called for that
DIRECT = 0  # for via_log_id: the case itself was met


class ExposureKey(NamedTuple):
    """What an exposure is about; via_log_id: the contact of the case that was met, DIRECT for the case itself."""

    case_id: int
    via_log_id: int
    log_id: int
    day: str


class Contacts(NamedTuple):
    """Verdicts as a whole, and the devices with them."""

    exposures: dict[ExposureKey, Score]
    first: set[tuple[int, int]]  # (case, log) of each F1
    second: set[tuple[int, int]]


def contacts_of(scores: Mapping[ExposureKey, Score], places: set[ExposureKey]) -> Contacts:
    """Whoever met an F1 counts from the moment at which the F1 first met the case, and only while it is an F1; who is
    an F1 of the case is not its F2 too. A day that goes on after that moment counts as a whole, since its score is one.
    places: those of which the log hung at a place then.
    """
    direct = {key: _judged(key, score, places) for key, score in scores.items() if key.via_log_id == DIRECT}
    first = {(key.case_id, key.log_id) for key, score in direct.items() if score.verdict == VERDICT_F1}
    since_s: dict[tuple[int, int], int] = {}
    for key, score in direct.items():
        pair = key.case_id, key.log_id
        since_s[pair] = min(score.first_s, since_s.get(pair, score.first_s))
    exposures = dict(direct)
    for key, score in scores.items():
        via = key.case_id, key.via_log_id
        if key.via_log_id != DIRECT and via in first and score.last_s >= since_s[via]:
            is_first = (key.case_id, key.log_id) in first
            exposures[key] = _judged(key, _second(score, is_first), places)
    second = {(key.case_id, key.log_id) for key, score in exposures.items() if score.verdict == VERDICT_F2}
    return Contacts(exposures, first, second)


def _second(score: Score, is_first: bool) -> Score:
    if score.verdict != VERDICT_F1:
        return score
    return score._replace(verdict=VERDICT_NOTED if is_first else VERDICT_F2)


def _judged(key: ExposureKey, score: Score, places: set[ExposureKey]) -> Score:
    return score._replace(verdict=VERDICT_PLACE) if key in places else score
