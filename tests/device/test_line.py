"""What comes over the cable beside requests: noise and keystrokes, which must not stop a token or open it."""

import random

import pytest
from tests.device.desk import DeskToken

from bzwire.page import CLOCK_UNSET

CTRL_A_B_C_D = b"\x01\x02\x03\x04"
ENTER_RAW_PASTE = b"\r\x03\x03\x01\x05A\x01"
TYPED_S = 2.0
BOOTING_S = 4.0


def require_production(token: DeskToken) -> None:
    if token.info().development:
        pytest.skip("this is a developer's build, in which these keys lead to the prompt")


@pytest.mark.parametrize("keys", [b"\x03", CTRL_A_B_C_D, ENTER_RAW_PASTE], ids=["ctrl-c", "ctrl-a-to-d", "raw-paste"])
def test_no_keys_stop_a_token_of_the_production_build(worn: DeskToken, keys: bytes) -> None:
    require_production(worn)
    boots = worn.status().boots
    worn.type(keys, TYPED_S)
    assert worn.status().boots == boots


def test_ctrl_c_while_it_starts_does_not_open_the_production_build(worn: DeskToken) -> None:
    require_production(worn)
    boots = worn.status().boots
    worn.begin_restart()
    worn.type(b"\x03", BOOTING_S)
    worn.wait_until_back()
    status = worn.status()
    assert status.boots > boots and not status.safe_mode
    assert status.clock_state != CLOCK_UNSET


def test_noise_is_passed_over(worn: DeskToken) -> None:
    """Without Ctrl-C, so that it is the same on a developer's build."""
    boots, noise = worn.status().boots, random.Random(1)
    worn.type(bytes(byte for byte in noise.randbytes(4096) if byte != 3), TYPED_S)
    assert worn.echo("still here") == "still here"
    assert worn.status().boots == boots
