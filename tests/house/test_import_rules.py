"""The import rules hold, and the checker sees a broken one."""

from pathlib import Path

import pytest
from tests.house.import_rules import imports_of, violations


def plant(root: Path, place: str, source: str) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")


def test_the_import_rules_hold_in_this_repository(repository: Path) -> None:
    assert violations(repository) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("firmware/bzwire/page.py", "import bzfw"),
        ("firmware/bzwire/page.py", "import json"),
        ("firmware/bzwire/page.py", "from .. import bzfw"),
        ("firmware/bzfw/app.py", "from bztoken.link import client"),
        ("firmware/bzfw/app.py", "import bzvirtual.ether"),
        ("firmware/bzfw/app.py", "import machine"),
        ("firmware/bzfw/app.py", "def late():\n    from bluetooth import BLE"),
        ("firmware/bzfw/app.py", "__import__('esp32')"),
        ("firmware/bzfw/app.py", "import pathlib"),
        ("firmware/bzfw/radio/hal_esp32.py", "import machine"),
        ("firmware/bzfw/app.py", "if TYPE_CHECKING:\n    import bztoken"),
        ("firmware/bzfw/app.py", "from . import hal"),
        ("firmware/bzfw/app.py", "from .hal import Hal"),
        ("firmware/bzfw/app.py", "import bzfw.hal"),
        ("firmware/bzfw/app.py", "from bzfw.hal import Hal"),
        ("firmware/main.py", "import bluetooth"),
        ("boards/virtual/bzvirtual/fleet.py", "import bztoken"),
        ("host/bztoken/sync.py", "import bzfw"),
        ("host/bztoken/sync.py", "import importlib\nimportlib.import_module('bzfw.app')"),
        ("host/bztoken/sync.py", "from bzvirtual import ether"),
        ("host/bztoken/cli/sync.py", "from bzvirtual import ether"),
        ("host/bztoken/demo.py", "from bzvirtual import ether"),
        ("host/bztoken/link/client.py", "import machine"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, place: str, source: str) -> None:
    plant(tmp_path, place, source)
    found = violations(tmp_path)
    assert len(found) == 1, found
    assert found[0].startswith(f"{place}:")


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("firmware/bzwire/page.py", "import struct\nfrom .errors import WireError"),
        ("firmware/bzwire/page.py", "if TYPE_CHECKING:\n    from typing import Any"),
        ("firmware/bzfw/app.py", "import asyncio\nfrom bzwire import page\nfrom . import radio"),
        ("firmware/bzfw/app.py", "if TYPE_CHECKING:\n    from .hal import Hal"),
        ("firmware/bzfw/hal.py", "from typing import Protocol"),
        ("firmware/bzfw/hal_esp32.py", "import machine, bluetooth, esp32"),
        ("firmware/main.py", "from bzfw import app, hal_esp32"),
        ("boards/virtual/bzvirtual/device/vboot.py", "import bzfw, bzwire, machine, bluetooth"),
        ("host/bztoken/sync.py", "import pathlib\nfrom bzwire import page"),
        ("host/bztoken/cli/fleet.py", "from bzvirtual import ether"),
        ("host/bztoken/cli/fleet_score.py", "import bzvirtual"),
    ],
)
def test_what_the_rules_allow_is_not_reported(tmp_path: Path, place: str, source: str) -> None:
    plant(tmp_path, place, source)
    assert violations(tmp_path) == []


def test_imports_behind_the_typing_guard_do_not_run() -> None:
    source = "import a\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\ntry:\n    import d\nfinally:\n    e"
    assert {module for _, module in imports_of(source)} == {"a", "c", "d"}
    assert {module for _, module in imports_of(source, run_only=False)} == {"a", "b", "c", "d"}
