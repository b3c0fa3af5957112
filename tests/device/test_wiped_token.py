"""At the end the token forgets: it is blank, proves nothing, and would take new keys."""

import asyncio

import pytest
from tests.device.desk import DeskToken

from bztoken.errors import LinkError
from bztoken.link.refusals import TokenRefused
from bztoken.link.requests import TokenRefusal
from bztoken.link.token_link import TokenLink


@pytest.mark.timeout(900, func_only=True)
def test_a_wiped_token_is_blank_again(wiped: DeskToken) -> None:
    info = wiped.info()
    assert (info.provisioned, info.erasing, info.safe_mode) == (False, False, False)


def test_a_wiped_token_proves_nothing(wiped: DeskToken) -> None:
    async def challenge() -> None:
        async with TokenLink(wiped.port) as link:
            await link.challenge()

    with pytest.raises(TokenRefused) as refused:
        asyncio.run(challenge())
    assert refused.value.code == TokenRefusal.NOT_PROVISIONED
    with pytest.raises(LinkError, match="is not provisioned"):
        wiped.status()
