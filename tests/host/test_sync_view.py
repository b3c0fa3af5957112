"""What `bztoken sync` draws on a terminal."""

import io

import pytest
from rich.console import Console

from bztoken.cli import bars as progress_bars
from bztoken.cli import sync_view


@pytest.mark.parametrize("label", ["Bà An", r"a\[/red] {task}", "[bold]", "a\\"])
def test_a_label_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, label: str) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr(progress_bars, "Console", lambda **_: Console(file=drawn, force_terminal=True, width=100))
    with sync_view.Bars() as bars:
        bars.known("port", label)
        bars.progress("port", 1, 2)
    assert label in drawn.getvalue()
