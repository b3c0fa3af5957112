"""For how long the registry keeps what, in days: the numbers of `retention.toml`, which gives the reasons.

The one place that knows them; deleting is done by `retention`, and whoever tells people a day asks here.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("retention.toml")


@dataclass(frozen=True)
class Rules:
    """Days, as `retention.toml` explains them."""

    person_days: int
    site_days: int
    case_days: int
    draft_days: int
    code_days: int
    erasure_limit_days: int
    erase_after_days: int
    most_days_since_last: int


@cache
def rules() -> Rules:
    """From the data file."""
    said: dict[str, dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return Rules(
        person_days=said["encounters"]["person_days"],
        site_days=said["encounters"]["site_days"],
        case_days=said["cases"]["days_after_window"],
        draft_days=said["drafts"]["days"],
        code_days=said["codes"]["days_after_expiry"],
        erasure_limit_days=said["erasure"]["limit_days"],
        erase_after_days=said["erasure"]["erase_after_days"],
        most_days_since_last=said["clock"]["most_days_since_last"],
    )
