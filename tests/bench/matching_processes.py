"""Runs an engine in a process of its own, so that neither its memory nor its threads are another's, and watches both.

Processor: user and system time of the process and its children, with the start. Memory: the largest sum of what they
hold (PSS, looked at three times a second: a page that two of them share counts once), and never less than the kernel's
own high-water mark of the process. Linux only.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

PROC = Path("/proc")
LOOK_S = 0.3
GIB = 1 << 30


class Limits(NamedTuple):
    """What an engine may take before it is stopped."""

    seconds: float = 240.0
    memory_bytes: int = 14 * GIB


class Ran(NamedTuple):
    """What the function answered, time of the processor and memory of the whole; why_not: instead of an answer."""

    answer: Any
    cpu_s: float
    peak_bytes: int
    why_not: str = ""


def apart(limits: Limits, function: Callable[..., Any], *arguments: Any) -> Ran:
    """Run it in a new process. What it raises is told on stderr and in `why_not`."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(its, function, arguments))
    began = time.monotonic()
    process.start()
    its.close()
    peak_bytes, why_not = 0, ""
    cpu_s: dict[int, float] = {}
    while not mine.poll(LOOK_S):
        family = _family(process.pid or 0)
        peak_bytes = max(peak_bytes, sum(map(_pss_bytes, family)))
        cpu_s.update((pid, seconds) for pid in family if (seconds := _cpu_s(pid)))
        why_not = _too_much(time.monotonic() - began, peak_bytes, limits)
        if why_not:
            _end(process.pid)
            break
    answer = None
    if not why_not:
        answer, own_peak_bytes, cpu_s[process.pid or 0], why_not = _received(mine)
        peak_bytes = max(peak_bytes, own_peak_bytes)
    process.join(30)
    _end(process.pid)
    process.join()
    return Ran(answer, sum(cpu_s.values()), peak_bytes, why_not)


def _received(mine: Connection) -> tuple[Any, int, float, str]:
    try:
        return mine.recv()
    except EOFError:
        return None, 0, 0.0, "ended without an answer"


def _run(its: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.setpgid(0, 0)
    try:
        answer, why_not = function(*arguments), ""
    except Exception as error:  # noqa: BLE001 - one engine that fails must not end the others' measurement
        traceback.print_exc()
        answer, why_not = None, f"failed: {type(error).__name__}"
    its.send((answer, _high_water_bytes(os.getpid()), time.process_time(), why_not))


def _too_much(seconds: float, held_bytes: int, limits: Limits) -> str:
    if seconds > limits.seconds:
        return f"stopped after {limits.seconds / 60:.0f} min"
    if held_bytes > limits.memory_bytes:
        return f"stopped at {limits.memory_bytes / GIB:.0f} GiB of memory"
    return ""


def _end(pid: int | None) -> None:
    """Its whole group: a pool or a Java machine that it left."""
    if pid is not None and pid != os.getpgrp():
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _family(root: int) -> list[int]:
    """A process and all that came from it."""
    parents = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it has ended meanwhile
    family = [root]
    for member in family:
        family += [pid for pid, parent in parents.items() if parent == member]
    return family


def _pss_bytes(pid: int) -> int:
    return _kib(PROC / str(pid) / "smaps_rollup", "Pss:") * 1024


def _cpu_s(pid: int) -> float:
    """0 once it has ended."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _high_water_bytes(pid: int) -> int:
    return _kib(PROC / str(pid) / "status", "VmHWM:") * 1024


def _kib(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0  # it has ended meanwhile
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
