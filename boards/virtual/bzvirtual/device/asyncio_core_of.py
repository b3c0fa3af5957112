"""What `_asyncio` needs of `asyncio.core`, looked up late because core imports `_asyncio` while it loads."""

import sys


def _core():
    return sys.modules["asyncio.core"]


def current():
    return _core().cur_task


def queue():
    return _core()._task_queue


def cancelled():
    return _core().CancelledError
