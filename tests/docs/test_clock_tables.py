"""What host/README.md says of clocks is what the code does, and a jump means the same on both sides of the cable."""

from pathlib import Path

import pytest
from tests.docs.constant_tables import firmware_disagreements, tables_in

MODULES = ("bztoken.registry.clock_line", "bztoken.matching.tolerance")
JUMP = [("LEAP_MS", "JUMP_MS"), ("LEAP_PER_MILLE", "JUMP_PER_MILLE")]


@pytest.fixture(scope="module")
def tables(repository: Path) -> dict[str, list[tuple[str, str]]]:
    return tables_in((repository / "host/README.md").read_text(encoding="utf-8"), some=True)


@pytest.mark.parametrize("module", MODULES)
def test_the_numbers_in_the_readme_are_those_of(module: str, tables: dict[str, list[tuple[str, str]]]) -> None:
    assert len(tables[module]) >= 3
    assert firmware_disagreements(module, tables[module]) == []


def test_the_host_takes_for_a_leap_what_the_token_does(tables: dict[str, list[tuple[str, str]]]) -> None:
    written = dict(tables["bztoken.registry.clock_line"])
    assert firmware_disagreements("bzfw.clock", [(token, written[host]) for host, token in JUMP]) == []
