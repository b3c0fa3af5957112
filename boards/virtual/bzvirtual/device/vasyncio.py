"""`_asyncio`: the task queue that the interpreter has in C, in Python, because the C one reads the real clock.

Same interface and order: by time, and first in first out among equals. `asyncio/core.py` itself stays the
interpreter's.
"""

import asyncio_core_of as _core
from vtime import ticks_diff, ticks_ms


class TaskQueue:
    def __init__(self):
        self._tasks = []

    def peek(self):
        return self._tasks[0] if self._tasks else None

    def push(self, task, key=None):
        task.data = None
        task.ph_key = ticks_ms() if key is None else key
        tasks = self._tasks
        at = len(tasks)
        while at and ticks_diff(tasks[at - 1].ph_key, task.ph_key) > 0:
            at -= 1
        tasks.insert(at, task)

    def pop(self):
        return self._tasks.pop(0)

    def remove(self, task):
        self._tasks.remove(task)


class Task:
    """state: True running, a TaskQueue while others wait for it, None or False when done."""

    def __init__(self, coro, globals=None):
        self.coro = coro
        self.data = None
        self.state = True
        self.ph_key = 0

    def __iter__(self):
        if not self.state:
            self.state = False  # done, and the result was asked for
        elif self.state is True:
            self.state = TaskQueue()
        elif not isinstance(self.state, TaskQueue):
            raise RuntimeError("Task can't be awaited")
        return self

    def __next__(self):
        if not self.state:
            raise self.data
        current = _core.current()
        self.state.push(current)
        current.data = self  # so that a cancel finds what it waits for

    def done(self):
        return not self.state

    def cancel(self):
        if not self.state:
            return False
        if self is _core.current():
            raise RuntimeError("can't cancel self")
        task = self
        while isinstance(task.data, Task):
            task = task.data
        main = _core.queue()
        if hasattr(task.data, "remove"):
            task.data.remove(task)
            main.push(task)
        elif ticks_diff(task.ph_key, ticks_ms()) > 0:
            main.remove(task)
            main.push(task)
        task.data = _core.cancelled()
        return True
