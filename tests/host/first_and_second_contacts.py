"""A case, Lan who met it and Minh who met her: the world that tests of F1 and F2 begin with."""

from typing import Any

import pytest
from tests.host.traced_world import DAY_S, START_S, TracedWorld, day_key

from bztoken.registry.database import Registry
from bztoken.registry.models import Log, Person, TokenIssue
from bzwire.bluezone import slot_id

F0, LAN = day_key("f0"), day_key("lan")
F0_NEXT, LAN_NEXT = day_key("f0", 1), day_key("lan", 1)
NOON_S = START_S + 12 * 3600


@pytest.fixture
def world(registry: Registry) -> TracedWorld:
    """Four tokens that heard nothing yet."""
    made = TracedWorld(registry)
    for label in ("F0", "Lan", "Minh", "Hoa"):
        made.token(label)
    return made


def of(key: Any, at_s: int) -> bytes:
    """The ID of a key at this time of its day."""
    return slot_id(key.key, at_s % DAY_S // 900)


def meets(world: TracedWorld, label: str, key: Any, at_s: int, windows: int = 3, **more: Any) -> None:
    """In as many windows of one slot."""
    world.hears(label, of(key, at_s), at_s, windows, **more)


def lan_is_f1_and_minh_met_her(world: TracedWorld) -> int:
    """Lan's keys are released; the number of the case."""
    case_id = world.case("F0-1", F0, F0_NEXT, token="F0", source="token")
    meets(world, "Lan", F0, NOON_S)
    meets(world, "Minh", LAN, NOON_S + 3600)
    world.releases("Lan", LAN, LAN_NEXT, case_id=case_id)
    return case_id


def holds(world: TracedWorld, label: str, person_id: int, from_s: int = 1, to_s: int | None = None) -> None:
    """As an issue of the token says it, whoever that is."""
    with world.registry.write() as session:
        log = session.get_one(Log, world.logs[label])
        row = TokenIssue(
            token_id=log.token_id, holder_kind="person", person_id=person_id, issued_at_s=from_s, issued_by="test"
        )
        row.returned_at_s = to_s
        session.add(row)


def people(world: TracedWorld, *names: str) -> list[int]:
    """Registered by their names; their numbers."""
    with world.registry.write() as session:
        made = [Person(name=name, folded=name, state="active", added_at_s=1, by="test") for name in names]
        session.add_all(made)
        session.flush()
        return [person.id for person in made]
