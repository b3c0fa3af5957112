"""The firmware's names fit the interpreter's tables without the one that the virtual board's stand-ins make necessary.

MicroPython (py/qstr.c) keeps names in tables of 10 entries, then twice as many each time; what is built into the
interpreter lies elsewhere. `bzvirtual.process` gives the stand-ins one table more, and this says why it may.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bzvirtual import application
from bzvirtual.application import Application, interpreter
from bzvirtual.process import NAMES_HEAP_BYTES

ENTRY_BYTES = 11  # pointer, hash of two bytes, length
TABLES = [10 << n for n in range(8)]
COUNT_NEW = """
import micropython
class Thing:
    pass
with open({names!r}) as file:
    names = file.read().split()
micropython.qstr_info()
for name in names:
    getattr(Thing, name, None)  # to look a name up is to keep it
micropython.qstr_info()
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Application:
    return application.build(tmp_path_factory.mktemp("application"))


def number(data: bytes, at: int) -> tuple[int, int]:
    """A number of a compiled file, 7 bits a byte, and where the next one begins."""
    value = 0
    while True:
        value = value << 7 | data[at] & 0x7F
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def names_in(compiled: Path) -> Iterator[str]:
    """Names that a compiled file brings (docs/reference/mpyfiles.rst): what every interpreter knows has no text."""
    data = compiled.read_bytes()
    count, at = number(data, 4)
    _objects, at = number(data, at)
    for _ in range(count):
        length, at = number(data, at)
        if not length & 1:
            yield data[at : at + (length >> 1)].decode()
            at += (length >> 1) + 1


def new_names(folder: Path, names: set[str]) -> int:
    """How many of them the interpreter has to keep."""
    (folder / "names").write_text("\n".join(sorted(names)))
    script = folder / "count.py"
    script.write_text(COUNT_NEW.format(names=str(folder / "names")))
    done = subprocess.run([interpreter(), str(script)], capture_output=True, text=True, check=True)
    before, after = (int(line.split("n_qstr=")[1].split(",")[0]) for line in done.stdout.splitlines())
    return after - before


def test_the_firmwares_names_fit_seven_tables_and_the_stand_ins_need_the_eighth(
    tmp_path: Path, app: Application
) -> None:
    firmware = {name for file in app.rom.rglob("*.mpy") if file.stem != "registry_keys" for name in names_in(file)}
    stand_ins = {name for file in app.device.rglob("*.mpy") for name in names_in(file)}
    assert new_names(tmp_path, firmware) <= sum(TABLES[:7])
    assert sum(TABLES[:7]) < new_names(tmp_path, firmware | stand_ins) <= sum(TABLES)
    assert TABLES[7] * ENTRY_BYTES == NAMES_HEAP_BYTES
