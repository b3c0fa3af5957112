"""Which formats the roll-out report can be written in, by the ending of a file's name."""

from pathlib import Path

from bztoken.errors import ReportError
from bztoken.report.rollout import Rollout
from bztoken.report.rollout_csv import rollout_csv
from bztoken.report.rollout_pdf import rollout_pdf
from bztoken.report.rollout_tables import Tables
from bztoken.report.rollout_xlsx import rollout_xlsx

SUFFIXES = (".xlsx", ".pdf", ".csv")


def form_of(path: Path) -> str:
    """As in "xlsx". Raises ReportError for an ending that stands for no format."""
    if path.suffix.lower() not in SUFFIXES:
        raise ReportError(
            f"{path} does not say in which format it is to be: nothing was written; let its name end in "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    return path.suffix.lower().removeprefix(".")


def whole_file(form: str, report: Rollout, tables: Tables) -> bytes:
    """The file in one of these formats."""
    if form == "xlsx":
        return rollout_xlsx(report, tables)
    return rollout_pdf(tables) if form == "pdf" else rollout_csv(tables)
