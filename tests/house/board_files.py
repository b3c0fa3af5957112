"""What the papers beside a board's file must say: the record sheet lists every unknown fact, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bztoken.boards import records, rules

FACTS = "\n## Facts without a source\n"
_LISTED = re.compile(r"^- `([^`]+)`: \S", re.MULTILINE)


def listed(sheet: str) -> list[str]:
    """Places in board.json that a record sheet calls unknown, in order."""
    return _LISTED.findall(sheet.partition(FACTS)[2].partition("\n## ")[0])


def unsaid(description: dict[str, Any], sheet: str) -> Iterator[str]:
    """Unknown facts that the sheet hides, and known ones that it calls unknown."""
    unknown, said = set(rules.unknown_facts(description)), listed(sheet)
    yield from (f"{name}: unknown, and not on the record sheet" for name in sorted(unknown - set(said)))
    yield from (f"{name}: on the record sheet, and known" for name in sorted(set(said) - unknown))
    yield from (
        f"{name}: twice on the record sheet" for name in sorted({name for name in said if said.count(name) > 1})
    )


def sheet_faults(folder: Path, description: dict[str, Any]) -> list[str]:
    """What is wrong with a board's record sheet."""
    sheet = (folder / records.FILE).read_text(encoding="utf-8")
    head = f"| {' | '.join(records.COLUMNS)} |\n|{'---|' * len(records.COLUMNS)}\n"
    found = list(unsaid(description, sheet))
    if sheet.count(f"\n{records.HEADING}\n") != 1 or sheet.count(head) != 1:
        found.append("the table under Runs is not the one that the device suite adds to")
    if not re.search(r"^- \[[ x]\] ", sheet.partition("\n## By hand\n")[2].partition("\n## ")[0], re.MULTILINE):
        found.append("there is nothing to do by hand")
    return found
