"""A virtual board whose main.py is a test's script: what it prints is what the test looks at."""

import json
import random
import shutil
from pathlib import Path

from tests.firmware.bench import SECOND_US, START_S, stays_at

from bzvirtual.application import Application, compile_file
from bzvirtual.channel import Channel
from bzvirtual.errors import TokenDied
from bzvirtual.ether import Ether, Station
from bzvirtual.lockstep import Lockstep
from bzvirtual.process import TokenProcess
from bzvirtual.token_folder import TokenFolder

# A program that ended would be a dead token; this one has said all and waits for the power to go.
THE_END = "\nprint('end of script')\nimport time\nwhile True:\n    time.sleep(86400)\n"


class ScriptBoard:
    """Runs at once until it first waits, unless only its application is wanted. ether: to share the air with others;
    description: another board.json."""

    def __init__(
        self,
        folder: Path,
        app: Application,
        script: str,
        ether: Ether | None = None,
        start: bool = True,
        power_cut_after_bytes: int | None = None,
        description: dict[str, object] | None = None,
    ) -> None:
        rom = folder / "rom"
        shutil.copytree(app.rom, rom)
        source = folder / "main.py"
        source.write_text(script + THE_END)
        compile_file(source, rom / "main.mpy")
        if description is not None:
            (rom / "board.json").write_text(json.dumps(description))
        self.lockstep = Lockstep(ether or Ether(Channel(1, 0.0)), START_S * SECOND_US)
        self.application = Application(rom, app.device)
        self.output = ""
        self.station = Station("script", 0, stays_at(0), random.Random(1))
        self.process = TokenProcess(TokenFolder.create(folder / "token"), self.application, b"seed", lockstep=True)
        self.process.power_cut_after_bytes = power_cut_after_bytes
        if start:
            try:
                self.token = self.lockstep.add_token(self.process, self.station)
            except TokenDied:
                self.close()
                raise

    def live(self, seconds: float) -> "ScriptBoard":
        """Let time pass."""
        self.lockstep.run_until(self.lockstep.now_us + round(seconds * SECOND_US))
        return self

    def lines(self) -> list[str]:
        """What it has printed so far."""
        self.output += self.process.read_console().decode()
        return self.output.splitlines()

    def ended(self) -> bool:
        """True when the script ran to its end."""
        return "end of script" in self.lines()

    def close(self) -> None:
        """Power down."""
        self.lockstep.stop()
