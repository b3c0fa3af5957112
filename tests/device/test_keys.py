"""A token that was given keys: it proves them, to its own registry and to nobody else, and takes no others."""

import asyncio
from pathlib import Path

import pytest
from tests.device.desk import DeskToken

from bztoken.connection import connect
from bztoken.errors import LinkError
from bztoken.home import Home
from bztoken.link.refusals import TokenRefused
from bztoken.link.requests import TokenRefusal
from bztoken.link.token_link import TokenLink
from bztoken.registry.database import create_registry, open_registry
from bzwire import keys
from bzwire.page import CLOCK_SET

HARDWARE_BYTES = 6  # of machine.unique_id() on every ESP32


def test_both_sides_prove_themselves(worn: DeskToken) -> None:
    async def label_proven() -> str:
        with open_registry(worn.home) as registry:
            async with connect(worn.home, registry, worn.port) as known:
                return known.label

    assert asyncio.run(label_proven()) == worn.label
    info = worn.info()
    assert (info.provisioned, info.clock_state) == (True, CLOCK_SET)


def test_another_registry_does_not_know_it(worn: DeskToken, tmp_path: Path) -> None:
    other = Home(tmp_path / "home")
    create_registry(other)

    async def greet() -> None:
        with open_registry(other) as registry:
            async with connect(other, registry, worn.port):
                pytest.fail("a token proved itself to a registry that has no keys")

    with pytest.raises(LinkError, match="not of this registry"):
        asyncio.run(greet())


def test_it_takes_no_other_keys(worn: DeskToken) -> None:
    async def give() -> None:
        async with TokenLink(worn.port) as link:
            await link.provision(bytes(keys.UID_BYTES), bytes(keys.KEY_BYTES), bytes(keys.KEY_BYTES), "person")

    with pytest.raises(TokenRefused) as refused:
        asyncio.run(give())
    assert refused.value.code == TokenRefusal.ALREADY_PROVISIONED
    assert worn.status().label == worn.label


def test_it_tells_the_number_of_its_own_chip(worn: DeskToken) -> None:
    assert len(worn.status().hardware) == HARDWARE_BYTES
