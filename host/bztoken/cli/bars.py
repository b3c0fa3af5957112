"""Progress bars: on stderr, and only where that is a terminal. Lines that are said meanwhile are written above them."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, ProgressColumn

_shown: list[Progress] = []  # on the screen now


class _Bars(Progress):
    """Known to `console_of_bars` while they are on the screen."""

    def start(self) -> None:
        super().start()
        if not self.disable and self not in _shown:
            _shown.append(self)

    def stop(self) -> None:
        if self in _shown:
            _shown.remove(self)
        super().stop()


class ShowsBars:
    """A context manager that has its bars on the screen from its beginning to its end."""

    _progress: Progress

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def on_stderr(*columns: ProgressColumn) -> Progress:
    """To be entered; silent in a pipe or a file."""
    console = Console(stderr=True)
    return _Bars(*columns, console=console, disable=not console.is_terminal)


def console_of_bars() -> Console | None:
    """Through which lines reach the screen without being mixed with bars that are on it; None while there are none."""
    return _shown[-1].console if _shown else None
