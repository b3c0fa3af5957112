"""What the days of a batch make together: contacts of cases, contacts of contacts, stays near places."""

from collections.abc import Mapping
from typing import NamedTuple

from bztoken.matching.contacts import Contacts, ExposureKey, contacts_of
from bztoken.matching.day import day_text
from bztoken.matching.found import DayFound
from bztoken.matching.peers import Peers
from bztoken.matching.rules import Score
from bztoken.matching.stays import Stay, StayFinder
from bzwire.bluezone import DAY_S


class Together(NamedTuple):
    """sightings: that scores rest on; unknown_clocks, bad_clocks: of these, as `DayFound` has them."""

    contacts: Contacts
    stays: list[Stay]
    days: int
    sightings: int
    unknown_clocks: int
    bad_clocks: int


def put_together(days: Mapping[int, DayFound], peers: Peers) -> Together:
    """Of all days, in their order: stays go on over midnight."""
    scores: dict[ExposureKey, Score] = {}
    stays, finder = [], StayFinder()
    for day, found in days.items():
        stays += finder.add(found.at_sites, (day + 1) * DAY_S)
        scores.update(_keyed(found, peers, day_text(day)))
    stays += finder.finish()
    return Together(
        contacts_of(scores, _places(scores, peers)),
        stays,
        len(days),
        sum(found.sightings for found in days.values()),
        sum(found.unknown_clocks for found in days.values()),
        sum(found.bad_clocks for found in days.values()),
    )


def _keyed(found: DayFound, peers: Peers, day: str) -> dict[ExposureKey, Score]:
    owners = peers.owners
    return {
        ExposureKey(owners[owner].case_id, owners[owner].log_id, log_id, day): score
        for (owner, log_id), score in found.scores.items()
    }


def _places(scores: dict[ExposureKey, Score], peers: Peers) -> set[ExposureKey]:
    return {key for key, score in scores.items() if peers.bearers.is_place(key.log_id, score.first_s)}
