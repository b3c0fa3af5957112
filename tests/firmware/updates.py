"""Applications to send to tokens on the bench, and the station's side of an update. Holds no assertions."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.firmware.bench import Refused, Wearer

from bztoken.desk.application_build import Arch, build_number
from bztoken.formats.application_archive import pack
from bztoken.update import DATA_BYTES
from bzvirtual.application import FIRMWARE, Application, compile_file
from bzwire import errors, keys, messages

BUILD = build_number(Arch.X64)
# The smallest application: it says each second that it lives, and nothing else.
SMALL = {
    "bzfw/__init__": 'VERSION = "{version}"\n',
    "bzfw/app": "def start(build, restart):\n    build()\n",
    "bzfw/hal_esp32": "import time\n\n\ndef build():\n    while True:\n        time.sleep(1)\n"
    '        print("small application lives")\n\n\nrestart = None\n',
}
SMALL_LIVES = b"small application lives"


@dataclass(frozen=True)
class Sent:
    """What a station sends. stream: of the archive."""

    version: str
    stream: bytes

    def begin_fields(self, auth_key: bytes, forced: bool = False) -> dict[str, Any]:
        """Of UPDATE_BEGIN."""
        digest, size = hashlib.sha256(self.stream).digest(), len(self.stream)
        mac = keys.update_mac(auth_key, digest, size, forced, self.version)
        return {"v": self.version, "sz": size, "dg": digest, "fo": int(forced), "m": mac}


def compiled(folder: Path, sources: dict[str, str]) -> dict[str, bytes]:
    """Compiled files by their names in an archive; sources: by the same names without ending."""
    found = {}
    for name, text in sources.items():
        source = folder / f"{name}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        compile_file(source, source.with_suffix(".mpy"))
        found[f"{name}.mpy"] = source.with_suffix(".mpy").read_bytes()
    return found


def small(folder: Path, version: str = "9.0.0") -> Sent:
    """The smallest application."""
    sources = {name: text.format(version=version) for name, text in SMALL.items()}
    return Sent(version, pack(version, BUILD, compiled(folder, sources)))


def real(folder: Path, app: Application, version: str, change: Callable[[str], str] | None = None) -> Sent:
    """The application as it is, under another version; change: of the text of its `app` module."""
    files = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in app.rom.glob("bz*/*.mpy")}
    sources = {"bzfw/__init__": f'VERSION = "{version}"\n'}
    if change is not None:
        sources["bzfw/app"] = change((FIRMWARE / "bzfw/app.py").read_text())
    return Sent(version, pack(version, BUILD, files | compiled(folder, sources)))


def begin(wearer: Wearer, sent: Sent, forced: bool = False) -> int:
    """From where the token wants the archive; a token that restarts first, to have room, is greeted again."""
    fields = sent.begin_fields(wearer.identity.auth_key, forced)
    offset = int(wearer.ask(messages.CMD_UPDATE_BEGIN, fields)["o"])
    try:
        wearer.status()
    except Refused as refused:
        if refused.code != errors.RC_NOT_AUTHENTICATED:
            raise
        wearer.open_session()
        offset = int(wearer.ask(messages.CMD_UPDATE_BEGIN, fields)["o"])
    return offset


def write(wearer: Wearer, sent: Sent, offset: int = 0, until: int | None = None) -> int:
    """Send from there on; the next offset."""
    end = len(sent.stream) if until is None else until
    while offset < end:
        piece = sent.stream[offset : offset + DATA_BYTES]
        offset = int(wearer.ask(messages.CMD_UPDATE_WRITE, {"o": offset, "d": piece})["o"])
    return offset


def finish(wearer: Wearer) -> None:
    """After it, the token restarts into what was sent."""
    wearer.ask(messages.CMD_UPDATE_FINISH)


def update(wearer: Wearer, sent: Sent, forced: bool = False) -> None:
    """The whole of it."""
    write(wearer, sent, begin(wearer, sent, forced))
    finish(wearer)


def slot_state(wearer: Wearer) -> tuple[str, int, int]:
    """Running slot, on trial, result of the last update, in a session of its own."""
    wearer.open_session()
    status = wearer.status()
    return status["us"], status["ut"], status["ur"]


def runs(wearer: Wearer) -> str:
    """The version that answers."""
    return str(wearer.plain(messages.CMD_INFO, {})["fw"])


def small_runs(wearer: Wearer) -> bool:
    """True when it is the smallest application that has the token now."""
    wearer.bench.live(2)
    return SMALL_LIVES in wearer.token.process.read_console()
