"""A board's record sheet, `record.md`: the table under "Runs", one row for each run of the device suite."""

from pathlib import Path

FILE = "record.md"
HEADING = "## Runs"
COLUMNS = ("date", "MicroPython", "firmware", "by", "passed", "failed", "skipped", "notes")


def runs(folder: Path) -> list[dict[str, str]] | None:
    """Rows of the table, by column; None for a board that has no sheet."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except OSError:
        return None
    _, _, section = text.partition(f"\n{HEADING}\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    if not rows or tuple(rows[0]) != COLUMNS:
        return []
    return [dict(zip(COLUMNS, row, strict=False)) for row in rows[2:]]
