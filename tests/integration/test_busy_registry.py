"""Another program holds the registry while a token is read: what is told and recorded is what was stored."""

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import select
from tests.integration.busy import Other
from tests.integration.clinic import Clinic, assert_beginning, assert_whole, attached

from bztoken.errors import RegistryError
from bztoken.registry import connecting
from bztoken.registry.database import open_registry
from bztoken.registry.models import Sync
from bztoken.sync import sync, sync_port

AN = "Bà An"


def last_sync(clinic: Clinic) -> Sync:
    with open_registry(clinic.home) as registry, registry.read() as session:
        return session.scalars(select(Sync).order_by(Sync.id.desc())).first() or Sync()


def quiet(*_: Any) -> None:
    """Nobody watches."""


def test_a_sync_whose_last_pages_could_not_be_stored_is_not_recorded_as_done(
    clinic_of_an: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_S", 0.5)
    other = Other(clinic)

    def progress(done: int, total: int) -> None:
        if done == total:
            other.take()
            threading.Timer(0.7, other.give_back).start()

    with attached(clinic.fleet) as there:
        with pytest.raises(RegistryError, match="nothing of this step was kept"):
            sync(clinic.home, there.ports[AN], progress)
        stored = clinic.stored(AN)
        row = last_sync(clinic)
        assert_beginning(stored, in_flash)
        assert 0 < len(stored) < len(in_flash)
        assert (row.state, row.pages_new) == ("cut", len(stored))
        assert asyncio.run(clinic.acknowledged(there.ports[AN])) <= len(stored)
        sync(clinic.home, there.ports[AN], quiet)
    assert_whole(clinic.stored(AN), in_flash)


def test_an_interrupted_sync_records_what_was_being_stored_just_then(
    clinic_of_an: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    clinic = clinic_of_an
    other = Other(clinic)

    async def run(port: str) -> None:
        loop = asyncio.get_running_loop()

        def progress(done: int, _total: int) -> None:
            if done and not other.has_it:
                other.take()
                loop.call_later(1.0, syncing.cancel)
                loop.call_later(1.5, other.give_back)

        with open_registry(clinic.home) as registry:
            syncing = asyncio.create_task(sync_port(clinic.home, registry, port, progress))
            with pytest.raises(asyncio.CancelledError):
                await syncing

    with attached(clinic.fleet) as there:
        asyncio.run(run(there.ports[AN]))
    stored = clinic.stored(AN)
    row = last_sync(clinic)
    assert len(stored) > 90
    assert (row.state, row.pages_new) == ("cut", len(stored))
    assert "never retrieved" not in caplog.text
