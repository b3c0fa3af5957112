"""Two tokens side by side hear each other, and write down that they did."""

import time

import pytest
from sqlalchemy import select
from tests.device.desk import DeskToken

from bztoken.registry.database import open_registry
from bztoken.registry.models import Log, Sighting
from bztoken.token_care import Neighbour, self_test
from bzwire import messages

WINDOW_S = 300
WEAKEST_BESIDE_DBM = -80


def test_two_tokens_hear_each_other(worn: DeskToken, neighbour: DeskToken) -> None:
    found = self_test(worn.home, [worn.port, neighbour.port], lambda: None)
    if Neighbour.TOO_MANY in [one.neighbour for one in found]:
        pytest.skip("too many others are near to tell: take both tokens elsewhere")
    assert [one.neighbour for one in found] == [Neighbour.HEARD, Neighbour.HEARD]
    assert [one.failed() for one in found] == [[], []]


@pytest.mark.timeout(2 * WINDOW_S, func_only=True)
@pytest.mark.usefixtures("long_run")
def test_two_tokens_record_each_other_over_a_window(worn: DeskToken, neighbour: DeskToken) -> None:
    for token in (worn, neighbour):
        token.sync()
    began_s = int(time.time())
    time.sleep(WINDOW_S + 60)
    for token in (worn, neighbour):
        token.sync()
        assert token.command(messages.CMD_STATUS)["ar"] == 0  # no address was refused
    for token in (worn, neighbour):
        heard_dbm = strengths(token, began_s)
        assert heard_dbm and max(heard_dbm) > WEAKEST_BESIDE_DBM


def strengths(token: DeskToken, since_s: int) -> list[int]:
    """Of all that it wrote down since then, dBm."""
    query = select(Sighting.rssi_max_dbm).join(Log).where(Log.label == token.label, Sighting.first_s >= since_s)
    with open_registry(token.home) as registry, registry.read() as session:
        return list(session.scalars(query))
