"""A registry as the source of a batch: what every process sees is what there was when the batch began."""

from contextlib import closing

import pytest
from tests.host.first_and_second_contacts import F0, NOON_S, meets, world
from tests.host.traced_world import DAY_S, TracedWorld

from bztoken.errors import RegistryError
from bztoken.matching.registry_source import RegistrySources
from bztoken.matching.task import Task
from bztoken.registry import connecting

__all__ = ["world"]

DAY = NOON_S // DAY_S


@pytest.fixture
def sources(world: TracedWorld) -> RegistrySources:
    assert world.registry.place is not None
    meets(world, "Lan", F0, NOON_S)
    return RegistrySources(world.registry.place)


def test_an_open_source_sees_nothing_of_what_comes_later(world: TracedWorld, sources: RegistrySources) -> None:
    with closing(sources()) as source:
        meets(world, "Minh", F0, NOON_S + 900)  # before anything is asked of it
        rows, mark, heard = source.rows_by_day(), source.mark(DAY), len(source.slice(Task(DAY)).seen().hi)
    with closing(sources()) as later:
        assert later.rows_by_day()[DAY] > rows[DAY] == heard > 0
        assert later.mark(DAY) != mark


def test_nobody_writes_while_sources_are_opened(
    world: TracedWorld, sources: RegistrySources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_S", 0)
    impatient = RegistrySources(sources.place)
    with sources.held():
        with closing(sources()) as source:
            assert source.rows_by_day()
        with pytest.raises(RegistryError), impatient.held():
            raise AssertionError("two cannot hold it")
    with impatient.held():
        pass


def test_what_goes_to_other_processes_shows_no_key(sources: RegistrySources) -> None:
    assert sources.place.key.hex() not in repr(sources) and repr(sources.place.key) not in repr(sources)
