"""`bztoken provision --batch`: what is made ready before the first token is touched, the run, and its files."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import typer

from bztoken.cli.output import DEFAULT_ZONE, answer, answer_json_line, say, zone_named
from bztoken.cli.provision_view import BatchView
from bztoken.errors import PrintError
from bztoken.formats.batch_csv import batch_csv
from bztoken.home import Home
from bztoken.link.ports import candidates
from bztoken.out_files import require_writable, write_whole
from bztoken.printing.label_sheet import label_sheet, sheet_named
from bztoken.provision_batch import ManyProvisions, only_program
from bztoken.registry import batch_labels, provision_batches
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import ProvisionBatch
from bztoken.registry.provision_batches import BatchOptions, BatchToken

_LONGEST = batch_labels.label_of("W" * batch_labels.MAX_PREFIX_CHARACTERS, batch_labels.MAX_NUMBER)


@dataclass(frozen=True)
class Files:
    """What is written of a batch; None: not asked for."""

    labels: Path | None
    csv: Path | None
    sheet: str
    programme: str

    def require(self, home: Home) -> None:
        """Raises PrintError or HomeError when one could not be written, a usage error when both are one file."""
        label_sheet([_LONGEST], sheet_named(self.sheet), programme=self.programme)
        named = [path for path in (self.labels, self.csv) if path is not None]
        if len({os.path.realpath(path) for path in named}) < len(named):
            raise typer.BadParameter("--labels and --csv name the same file")
        for path in named:
            home.require_outside(path)
            require_writable(path)

    def write(self, found: list[BatchToken]) -> None:
        """Raises PrintError."""
        if self.labels is not None:
            names = [token.label for token in found]
            write_whole(self.labels, label_sheet(names, sheet_named(self.sheet), programme=self.programme))
        if self.csv is not None:
            write_whole(self.csv, batch_csv(found, zone_named(DEFAULT_ZONE)))


@dataclass(frozen=True)
class Order:
    """What somebody asked for."""

    name: str
    options: BatchOptions
    count: int | None
    among: tuple[str, ...]
    at_once: int
    files: Files
    may_be_development: bool
    label_now: bool
    quiet_bell: bool
    as_json: bool


def run(home: Home, order: Order) -> None:
    """Until there are enough, or Ctrl-C. Raises a BztokenError before the first token is touched, or when a file could
    not be written at the end.
    """
    order.files.require(home)
    home.require_clinic()
    home.master_key()
    with open_registry(home) as registry:
        with registry.write() as session:
            batch = provision_batches.begin(session, order.name, order.options, int(time.time()))
        with only_program(home, batch):
            asyncio.run(_work(home, registry, batch, order))


async def _work(home: Home, registry: Registry, batch: ProvisionBatch, order: Order) -> None:
    shows_labels = order.label_now or (sys.stderr.isatty() and sys.stdin.isatty())
    with BatchView(order.as_json, order.quiet_bell) as view:
        many = ManyProvisions(
            home, registry, batch, view, order.count, order.at_once, order.may_be_development, shows_labels
        )
        if many.was_full:
            tokens = "1 token" if order.count == 1 else f"{order.count} tokens"
            say(f"This batch has its {tokens}: raise --count for more, or name another batch.")
        else:
            say("Waiting for tokens: plug them in, one or several at a time. Ctrl-C ends it.")
        with _politely(many), suppress(asyncio.CancelledError):
            async with many.working(lambda: candidates(order.among)):
                try:
                    await many.until_enough()
                finally:
                    _finish(registry, batch, order)
                    view.bell()
                if shows_labels and many.was_full:
                    say("Plug its tokens in to see which label each one gets. Ctrl-C ends it.")
                await many.until_labelled()


@contextmanager
def _politely(many: ManyProvisions) -> Iterator[None]:
    """The first Ctrl-C, or polite kill, lets what is under way be finished; the second does not."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    numbers = (signal.SIGINT, signal.SIGTERM) if os.name == "posix" else ()
    asked: list[int] = []

    def stop() -> None:
        asked.append(1)
        if len(asked) > 1 and task is not None:
            task.cancel()
            return
        under_way = many.end()
        if under_way:
            say(f"Stopping: what is under way ({under_way}) is finished first; Ctrl-C again does not wait for it.")

    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _finish(registry: Registry, batch: ProvisionBatch, order: Order) -> None:
    """Say how far the batch is, and write its files."""
    with registry.read() as session:
        found = provision_batches.tokens_of(session, batch)
        unfinished = provision_batches.unfinished(session, batch)
    try:
        if found:
            order.files.write(found)
    except PrintError as error:
        raise PrintError(f"{error}; no token is lost: the same command writes it once more") from error
    files = order.files
    if order.as_json:
        written = {"labels": files.labels, "csv": files.csv}
        paths = {name: str(path) if path and found else None for name, path in written.items()}
        answer_json_line({"batch": batch.name, "tokens": len(found), "unfinished": unfinished, **paths})
        return
    named = [f" {what}: {path}." for what, path in (("Labels", files.labels), ("List", files.csv)) if path and found]
    answer(f"Batch {batch.name}: {len(found)} token{'' if len(found) == 1 else 's'} so far.{''.join(named)}")
    if unfinished:
        say(
            f"Begun and not finished: {', '.join(unfinished)}. A token that got such a number is finished when it is "
            "plugged in while this command runs; one that was still blank gets another number."
        )
