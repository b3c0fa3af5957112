"""Counts what a run of the device suite found, and adds it to the board's record sheet when the run is over."""

from datetime import UTC, datetime

import pytest
from tests.device import record_sheet
from tests.device.desk import DeskToken
from tests.device.options import Choice

from bztoken.boards.records import FILE
from bztoken.errors import FormatError
from bztoken.registry import events

FOLDER = "tests/device"


class RunRecord:
    """A plugin of pytest. answers: of the tester, for the notes."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._token: DeskToken | None = None
        self._found: dict[str, str] = {}  # what became of each test
        self._said = ""
        self.answers: list[str] = []

    def met(self, token: DeskToken) -> None:
        """This is the token that the run is about. Raises FormatError when its board has no sheet to record it in."""
        record_sheet.require_table(token.board.folder / FILE)
        self._token = token

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test counts as failed when any part of it failed, its cleaning up too."""
        is_verdict = report.when == "call" or not report.passed
        if is_verdict and self._found.get(report.nodeid) != "failed":
            self._found[report.nodeid] = report.outcome

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Nothing is recorded of a run that did not get as far as a token."""
        if self._token is None:
            return
        sheet = self._token.board.folder / FILE
        run = self._run(session.config, exitstatus == pytest.ExitCode.INTERRUPTED)
        try:
            record_sheet.add(sheet, run)
            self._said = f"Recorded in {sheet}."
        except (FormatError, OSError) as error:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._said = f"Not recorded: {error} Add this row by hand:\n{run.row()}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Where it is to be found."""
        if self._said:
            terminalreporter.write_line(self._said)

    def _run(self, config: pytest.Config, was_interrupted: bool) -> record_sheet.Run:
        assert self._token is not None
        info = self._token.first_info
        outcomes = list(self._found.values())
        return record_sheet.Run(
            date=datetime.now(UTC).date().isoformat(),
            micropython=self._choice.micropython,
            firmware=info.firmware + (" (development)" if info.development else ""),
            by=self._choice.by or events.operator(),
            passed=outcomes.count("passed"),
            failed=outcomes.count("failed"),
            skipped=outcomes.count("skipped"),
            notes="; ".join([*(["interrupted"] if was_interrupted else []), *self._part_of_it(config), *self.answers]),
        )

    def _part_of_it(self, config: pytest.Config) -> list[str]:
        """Says so when not the whole suite was asked for."""
        words = [word for word in (config.getoption("-k"), config.getoption("-m")) if word]
        words += [word for word in config.args if not word.rstrip("/").endswith(FOLDER)]
        notes = [f"only a part: {' '.join(words)}"] if words else []
        return notes if self._choice.neighbour else [*notes, "without a neighbour"]
