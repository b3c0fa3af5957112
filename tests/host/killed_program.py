"""Ends a copy of this process with SIGKILL at a chosen line of our own code, as a power cut or `kill -9` would."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType
from typing import Any

_FAILED = 3


def killed_at_line(number: int, action: Callable[[], object], modules: Iterable[ModuleType]) -> bool:
    """Whether `action` came to the `number`-th line (from 1) that runs in these modules, where it is killed."""
    files = {module.__file__ for module in modules}
    child = os.fork()
    if child == 0:
        _run(number, action, files)
    status = os.waitpid(child, 0)[1]
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the action failed, it was not killed"
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _run(number: int, action: Callable[[], object], files: set[str | None]) -> None:
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    try:
        sys.settrace(trace)
        action()
    except BaseException:  # noqa: BLE001 - whatever it is, this copy of the test must not go on as a second pytest
        os._exit(_FAILED)
    os._exit(0)
