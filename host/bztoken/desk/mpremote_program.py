"""Runs mpremote, and tells in one sentence what went wrong. It is another program, and an extra."""

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from bztoken.errors import DeployError

_BUSY = "failed to access"
_NO_PROMPT = "could not enter raw repl"
_FULL = "ENOSPC"
# A prompt that is there answers at once; mpremote waits for one that is not for ever.
SCRIPT_LIMIT_S = 15.0
BYTES_A_S = 1500  # at least, at 115200 baud: a byte takes up to four characters, and every 256 bytes an answer
RESET_LIMIT_S = 5.0


class Mpremote:
    """A board's prompt at a port."""

    def __init__(self, port: str) -> None:
        self._port = port

    @staticmethod
    def require_installed() -> None:
        """Raises DeployError."""
        if find_spec("mpremote") is None:
            raise DeployError("mpremote is missing: install bztoken with its extra, `pip install bztoken[desk]`.")

    def run_script(self, script: str) -> str:
        """What a script prints, after a soft reset, so that the whole memory is free. Raises DeployError."""
        with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as file:
            file.write(script)
            file.flush()
            return self._run(SCRIPT_LIMIT_S, "run", file.name)

    def copy_and_restart(self, folder: Path | None, script: str) -> None:
        """Copy a folder, under its name, to the root; run a script; restart. Raises DeployError at the first failure:
        what comes after it was not done.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as file:
            file.write(script)
            file.flush()
            copying = [] if folder is None else ["fs", "cp", "-r", str(folder), ":/", "+"]
            size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder else 0
            self._run(SCRIPT_LIMIT_S + size_bytes / BYTES_A_S, "resume", *copying, "run", file.name, "+", "reset")

    def restart(self) -> bool:
        """Let the board run what it has; False when that failed."""
        try:
            self._run(RESET_LIMIT_S, "resume", "reset")
        except DeployError:
            return False
        return True

    def _run(self, limit_s: float, *words: str) -> str:
        # By its true name: mpremote knows a pseudo terminal by it.
        command = [sys.executable, "-m", "mpremote", "connect", os.path.realpath(self._port), *words]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=limit_s
            )
        except subprocess.TimeoutExpired:
            raise DeployError(self._no_prompt()) from None
        if done.returncode != 0:
            raise DeployError(self._reason(done.stdout + done.stderr))
        return done.stdout

    def _no_prompt(self) -> str:
        return (
            f"The board at {self._port} shows no prompt: check the cable and run the command again; a production build "
            "has none, and needs `bztoken flash --build development`."
        )

    def _reason(self, said: str) -> str:
        if _BUSY in said:
            return f"{self._port} cannot be opened: check the cable, the name, and that no other program has it open."
        if _NO_PROMPT in said:
            return self._no_prompt()
        if _FULL in said:
            return f"The flash of the board at {self._port} is full: sync it or wipe it, then run the command again."
        last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no reason")
        return f"mpremote could not do it ({last}): check the cable at {self._port} and run the command again."
