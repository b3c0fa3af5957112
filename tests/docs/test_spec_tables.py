"""The tables of firmware/SPEC.md say what the wire formats' modules say, and the check sees when they do not."""

from pathlib import Path

import pytest
from tests.docs.constant_tables import disagreements, firmware_disagreements, public_constants, tables_in

# Modules whose every public constant the SPEC must give.
SPECIFIED = (
    "bzwire.archive",
    "bzwire.bluezone",
    "bzwire.errors",
    "bzwire.gaen",
    "bzwire.keys",
    "bzwire.light_patterns",
    "bzwire.messages",
    "bzwire.page_format",
    "bzwire.smp",
)


@pytest.fixture(scope="module")
def spec_tables(repository: Path) -> dict[str, list[tuple[str, str]]]:
    return tables_in((repository / "firmware/SPEC.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", SPECIFIED)
def test_spec_tables_give_every_constant_of(module: str, spec_tables: dict[str, list[tuple[str, str]]]) -> None:
    assert module in spec_tables, f"no table in firmware/SPEC.md is marked <!-- constants: {module} -->"
    assert disagreements(module, spec_tables[module]) == []


def test_every_marked_table_of_the_spec_agrees(spec_tables: dict[str, list[tuple[str, str]]]) -> None:
    for module in set(spec_tables) - set(SPECIFIED):
        assert disagreements(module, spec_tables[module]) == []


FIRMWARE = ("alive", "clock", "phones", "radio", "recorder", "schedule", "wearer")


@pytest.mark.parametrize("module", FIRMWARE)
def test_what_the_spec_says_of_the_firmware_is_what_it_does(module: str, repository: Path) -> None:
    tables = tables_in((repository / "firmware/SPEC.md").read_text(encoding="utf-8"), some=True)
    assert tables[f"bzfw.{module}"]
    assert firmware_disagreements(f"bzfw.{module}", tables[f"bzfw.{module}"]) == []


def test_no_table_of_the_firmware_stands_unread(repository: Path) -> None:
    tables = tables_in((repository / "firmware/SPEC.md").read_text(encoding="utf-8"), some=True)
    assert tables.keys() == {f"bzfw.{module}" for module in FIRMWARE}


def test_a_wrong_row_about_the_firmware_is_named() -> None:
    rows = [("SCAN_MS", "4001"), ("RING_SLOTS", "48"), ("NO_SUCH_MS", "1")]
    assert firmware_disagreements("bzfw.radio", rows) == [
        "bzfw.radio.SCAN_MS is 4000, the table says 4001",
        "bzfw.radio.NO_SUCH_MS is None, the table says 1",
    ]


def fixture_document(module: str, changed: dict[str, str] | None = None, missing: str = "") -> str:
    """A document as the SPEC is written, with the constants of one module."""
    values = {name: repr(value) for name, value in public_constants(module).items() if name != missing}
    rows = [f"| `{name}` | `{value}` | why |" for name, value in (values | (changed or {})).items()]
    head = ["# Spec", "", f"<!-- constants: {module} -->", "| name | value | meaning |", "|---|---:|---|"]
    return "\n".join(head + rows)


def said_about(document: str, module: str) -> list[str]:
    return disagreements(module, tables_in(document)[module])


@pytest.mark.parametrize("module", SPECIFIED)
def test_a_right_table_is_accepted(module: str) -> None:
    assert said_about(fixture_document(module), module) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"RECORD_BYTES": "24"}, "bzwire.page_format.RECORD_BYTES is 23, the table says 24"),
        ({"MAGIC": 'b"BX"'}, "bzwire.page_format.MAGIC is b'BZ', the table says b\"BX\""),
        ({"NEW_BYTES": "1"}, "bzwire.page_format has no constant NEW_BYTES"),
        ({"VERSION": "one"}, "bzwire.page_format.VERSION: one is not a value"),
    ],
)
def test_a_wrong_row_is_named(changed: dict[str, str], sentence: str) -> None:
    assert said_about(fixture_document("bzwire.page_format", changed), "bzwire.page_format") == [sentence]


def test_hexadecimal_and_decimal_mean_the_same() -> None:
    assert said_about(fixture_document("bzwire.page_format", {"FLAG_CROWDED": "0x04"}), "bzwire.page_format") == []


def test_a_constant_without_a_row_is_named() -> None:
    document = fixture_document("bzwire.page_format", missing="MAX_RECORDS")
    assert said_about(document, "bzwire.page_format") == ["bzwire.page_format.MAX_RECORDS is in no table"]


def test_two_tables_of_one_module_are_taken_together_but_no_row_twice() -> None:
    document = fixture_document("bzwire.page_format")
    again = "\n\ntext\n\n<!-- constants: bzwire.page_format -->\n| name | value |\n|---|---|\n| VERSION | 2 |\n"
    assert said_about(document + again, "bzwire.page_format") == ["bzwire.page_format.VERSION is given twice"]


def test_tuple_assignments_count_as_constants() -> None:
    assert {"OP_READ", "OP_WRITE_RESPONSE", "OS_RESET"} <= public_constants("bzwire.smp").keys()


def test_unmarked_tables_are_not_read() -> None:
    assert tables_in("| VERSION | 2 |\n|---|---|\n| VERSION | 3 |\n") == {}
