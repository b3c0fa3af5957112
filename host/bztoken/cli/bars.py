"""Progress bars: on stderr, and only where that is a terminal."""

from rich.console import Console
from rich.progress import Progress, ProgressColumn


def on_stderr(*columns: ProgressColumn) -> Progress:
    """To be entered; silent in a pipe or a file."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)
