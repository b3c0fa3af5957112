"""The tables of firmware/SPEC.md say what the wire formats' modules say, and the check sees when they do not."""

from pathlib import Path

import pytest
from tests.docs.constant_tables import disagreements, public_constants, tables_in

# Modules whose every public constant the SPEC must give.
SPECIFIED = ("bzwire.bluezone", "bzwire.errors", "bzwire.keys", "bzwire.messages", "bzwire.page", "bzwire.smp")


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
        ({"RECORD_BYTES": "24"}, "bzwire.page.RECORD_BYTES is 23, the table says 24"),
        ({"MAGIC": 'b"BX"'}, "bzwire.page.MAGIC is b'BZ', the table says b\"BX\""),
        ({"NEW_BYTES": "1"}, "bzwire.page has no constant NEW_BYTES"),
        ({"VERSION": "one"}, "bzwire.page.VERSION: one is not a value"),
    ],
)
def test_a_wrong_row_is_named(changed: dict[str, str], sentence: str) -> None:
    assert said_about(fixture_document("bzwire.page", changed), "bzwire.page") == [sentence]


def test_hexadecimal_and_decimal_mean_the_same() -> None:
    assert said_about(fixture_document("bzwire.page", {"FLAG_CROWDED": "0x04"}), "bzwire.page") == []


def test_a_constant_without_a_row_is_named() -> None:
    document = fixture_document("bzwire.page", missing="MAX_RECORDS")
    assert said_about(document, "bzwire.page") == ["bzwire.page.MAX_RECORDS is in no table"]


def test_two_tables_of_one_module_are_taken_together_but_no_row_twice() -> None:
    document = fixture_document("bzwire.page")
    again = "\n\ntext\n\n<!-- constants: bzwire.page -->\n| name | value |\n|---|---|\n| VERSION | 1 |\n"
    assert said_about(document + again, "bzwire.page") == ["bzwire.page.VERSION is given twice"]


def test_tuple_assignments_count_as_constants() -> None:
    assert {"OP_READ", "OP_WRITE_RESPONSE", "OS_RESET"} <= public_constants("bzwire.smp").keys()


def test_unmarked_tables_are_not_read() -> None:
    assert tables_in("| VERSION | 2 |\n|---|---|\n| VERSION | 3 |\n") == {}
