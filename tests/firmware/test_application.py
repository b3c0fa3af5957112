"""The application that is compiled for a virtual board: machine code for the interpreter that runs it, or an error."""

from pathlib import Path

import pytest

from bzvirtual.application import FIRMWARE, INSTRUCTION_SETS, Application, compile_file, instruction_set, interpreter
from bzvirtual.errors import FleetError


def test_only_the_checksum_is_machine_code_and_for_the_interpreters_own_processor(app: Application) -> None:
    native = {file.name: file.read_bytes()[2] >> 2 for file in app.rom.rglob("*.mpy") if file.read_bytes()[2] >> 2}
    assert native == {"crc16.mpy": INSTRUCTION_SETS.index(instruction_set(interpreter()))}


def test_compiled_files_do_not_say_where_the_checkout_lies(app: Application) -> None:
    compiled = b"".join(file.read_bytes() for file in app.rom.rglob("*.mpy"))
    assert b"day_log.py" in compiled
    assert str(FIRMWARE).encode() not in compiled


@pytest.mark.parametrize("arch", ["xtensawin", "rv32imc"])
def test_a_file_is_compiled_for_the_chip_that_is_named(tmp_path: Path, arch: str) -> None:
    compile_file(FIRMWARE / "bzwire/crc16.py", tmp_path / "crc16.mpy", arch)
    assert INSTRUCTION_SETS[(tmp_path / "crc16.mpy").read_bytes()[2] >> 2] == arch


@pytest.mark.parametrize("says", ["0", "99", "", "no number", "-1"])
def test_an_interpreter_without_machine_code_is_refused_in_words(tmp_path: Path, says: str) -> None:
    executable = tmp_path / "micropython"
    executable.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    executable.chmod(0o755)
    with pytest.raises(FleetError, match="loads no machine code: name another one"):
        instruction_set(str(executable))
