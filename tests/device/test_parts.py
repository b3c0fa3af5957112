"""The parts of the board: each that the board file names works, as far as a cable can tell."""

import time

import pytest
from tests.device.desk import DeskToken

from bztoken.token_care import SelfTest, locate, self_test, set_notice
from bztoken.token_status import Battery
from bzwire import messages

# A lithium cell with its protection: below and above it is switched off, or is burning.
LOWEST_CELL_MV, HIGHEST_CELL_MV = 2500, 4400
READINGS_APART_MV = 150


@pytest.fixture(scope="module")
def found(worn: DeskToken) -> SelfTest:
    """What the token found when it examined itself."""
    (result,) = self_test(worn.home, [worn.port], lambda: None)
    return result


def test_flash_clock_and_radio_pass_their_self_test(found: SelfTest) -> None:
    assert found.failed() == []
    assert found.ids_heard is not None


def test_a_battery_is_measured_where_the_board_can(worn: DeskToken, found: SelfTest) -> None:
    status = worn.status()
    if not worn.has("battery"):
        assert (found.battery_mv, status.battery_mv, status.battery) == (0, 0, Battery.UNKNOWN)
        pytest.skip("this board cannot measure a battery, and says so")
    assert LOWEST_CELL_MV < status.battery_mv < HIGHEST_CELL_MV
    assert abs(found.battery_mv - status.battery_mv) < READINGS_APART_MV


def test_it_is_not_in_need_of_anything(worn: DeskToken) -> None:
    worn.command(messages.CMD_SET_CLOCK, t=time.time_ns() // 1_000_000)
    assert worn.status().needs() == []


def test_it_shows_itself_and_stops(worn: DeskToken) -> None:
    assert locate(worn.home, worn.port, 2) == worn.label
    assert locate(worn.home, worn.port, 0) == worn.label


def test_the_notice_is_kept_until_it_is_cleared(worn: DeskToken) -> None:
    assert set_notice(worn.home, worn.port, True).settings.notice
    worn.restart()
    settings = worn.status().settings
    assert settings is not None and settings.notice
    assert not set_notice(worn.home, worn.port, False).settings.notice
