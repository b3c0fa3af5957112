"""Somebody else at the registry."""

from contextlib import ExitStack

from sqlalchemy import select
from tests.integration.clinic import Clinic

from bztoken.registry.database import open_registry
from bztoken.registry.models import Sync


class Other:
    """A program that has begun to write into the same registry."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._held = ExitStack()
        self.has_it = False

    def take(self) -> None:
        """Waits until nobody else writes."""
        self.has_it = True
        registry = self._held.enter_context(open_registry(self._clinic.home))
        self._held.enter_context(registry.write()).execute(select(Sync.id))

    def give_back(self) -> None:
        self._held.close()
