"""Names for the ports of an attached fleet: `ports/<token's folder>` in the fleet's folder leads to the terminal.

A name is there while the cable is in and is made anew when it is put back, as a USB device's is. Touches nothing else
that lies in the folder.
"""

from pathlib import Path

FOLDER = "ports"


class PortLinks:
    """The names of one fleet. What a fleet that was killed left behind is cleared away first."""

    def __init__(self, fleet: Path) -> None:
        self._folder = fleet / FOLDER

    def begin(self) -> None:
        """An empty folder for the names."""
        self.end()
        self._folder.mkdir(parents=True, exist_ok=True)

    def show(self, name: str, terminal: str) -> None:
        """The cable is in."""
        self.hide(name)
        (self._folder / name).symlink_to(terminal)

    def hide(self, name: str) -> None:
        """The cable is out."""
        (self._folder / name).unlink(missing_ok=True)

    def end(self) -> None:
        """No name is left, nor the folder, unless something else lies in it."""
        if not self._folder.is_dir():
            return
        for entry in self._folder.iterdir():
            if entry.is_symlink():
                entry.unlink()
        if not any(self._folder.iterdir()):
            self._folder.rmdir()
