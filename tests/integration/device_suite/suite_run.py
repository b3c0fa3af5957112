"""What a run of the device suite left behind: its counts, its failures, the record sheet and its folder."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.program import Ran

from bztoken.boards import records

RELEASE = "v1.29.0"
SHEET = """# Record sheet

## Runs
| date | MicroPython | firmware | by | passed | failed | skipped | notes |
|---|---|---|---|---|---|---|---|

## By hand
- [ ] the case closes
- [ ] sleep current below 1 mA

## Facts without a source
- none
"""

Suite = Callable[..., Ran]


def rows(boards: Path) -> list[list[str]]:
    """Cells of the runs on the sheet, as `bztoken boards` reads it."""
    return [list(run.values()) for run in records.runs(boards / "virtual") or []]


def counts(ran: Ran) -> dict[str, int]:
    """From pytest's last line."""
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", ran.out)}


def failed(ran: Ran) -> list[str]:
    """Names of the tests that failed, or whose cleaning up did."""
    return re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", ran.out, re.MULTILINE)


def left_behind(tmp_path: Path) -> list[Path]:
    """Folders with keys that it did not dare to delete."""
    return list((tmp_path / "scratch").glob("bztoken-device-*"))
