"""How `bztoken sync` shows what happens: a bar for each token, a sentence when one is done, the documents of --json."""

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn

from bztoken.cli.bars import ShowsBars, on_stderr
from bztoken.cli.output import answer, answer_json_line, say
from bztoken.registry.tokens import ALARM_ROLLBACK
from bztoken.sync import SyncResult
from bztoken.sync_many import Outcome, State
from bztoken.tracing.notices import Told


class Bars(ShowsBars):
    """A progress bar a token on stderr; silent when that is no terminal."""

    def __init__(self) -> None:
        label = TextColumn("{task.description}", markup=False)
        self._progress = on_stderr(label, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._tasks: dict[str, TaskID] = {}

    def known(self, port: str, label: str) -> None:
        """A bar for the token at a port."""
        self._tasks[port] = self._progress.add_task(label, total=None)

    def progress(self, port: str, done: int, total: int) -> None:
        """Its bar moves."""
        if port not in self._tasks:
            self.known(port, "Reading the log")
        self._progress.update(self._tasks[port], completed=done, total=total)

    def over(self, outcome: Outcome, is_news: bool) -> None:
        """Its bar goes."""
        if outcome.port in self._tasks:
            self._progress.remove_task(self._tasks.pop(outcome.port))


class Reporter(Bars):
    """The bars, and a line for each token when it is over: a sentence, or with `as_json` a JSON object."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def over(self, outcome: Outcome, is_news: bool) -> None:
        """Its bar becomes a line."""
        super().over(outcome, is_news)
        if not is_news:
            return
        if self._as_json:
            answer_json_line(outcome_document(outcome))
        else:
            tell(outcome)


def tell(outcome: Outcome) -> None:
    """What happened at one port: on stdout when it went well, else on stderr."""
    if outcome.result is not None:
        for sentence in sentences(outcome.result):
            answer(sentence)
    elif outcome.state == State.LEFT_ALONE:
        say(f"{outcome.port}: no token answers there; it was left alone.")
    else:
        who = f"{outcome.label} at {outcome.port}" if outcome.label else outcome.port
        say(f"{who}: {outcome.problem}")


def sentences(result: SyncResult) -> list[str]:
    """What one sync did."""
    new = "1 new page" if result.pages_new == 1 else f"{result.pages_new} new pages"
    known = f", {result.pages_known} known already" if result.pages_known else ""
    found = [
        f"Synced {result.label}: {new}{known} ({result.bytes_read / 1024:.1f} KiB in "
        f"{result.seconds:.1f} s). {_clock(result)}"
    ]
    if result.kept_from is not None:
        found.append(f"An earlier sync found page {result.kept_from} damaged: the token keeps it for a technician.")
    if result.alarm == ALARM_ROLLBACK:
        found.append(
            "This token counts lower than at its last visit: its flash was damaged or put back to an older state, or a "
            "second device has its identity. What it holds was stored; let a technician look at it."
        )
    if result.notice is not None:
        found.append(_NOTICE[result.notice])
    return found


_NOTICE = {
    Told.SET: "Its wearer is to be told something, and its light asks them to call now: `bztoken follow-up list` shows "
    "who it is and what to do.",
    Told.WAITING: "Its wearer is still to be told something: `bztoken follow-up list` shows who it is and what to do.",
    Told.CLEARED: "Its light no longer asks its wearer to call: somebody has spoken with them, or it no longer holds.",
    Told.NOT_POSSIBLE: "Its wearer is to be told something (`bztoken follow-up list`), and its firmware is too old to "
    "show that: update it.",
}


def _clock(result: SyncResult) -> str:
    if result.clock_offset_ms is None:
        return "Its clock was not set; it is now."
    seconds = abs(result.clock_offset_ms) / 1000
    if not result.clock_set:
        return f"Its clock is {seconds:.1f} s off, which the clinic will allow for."
    return f"Its clock was {seconds:.1f} s off; it is right now."


def result_document(result: SyncResult) -> dict[str, object]:
    """Of one sync."""
    return {
        "label": result.label,
        "pages_new": result.pages_new,
        "pages_known": result.pages_known,
        "bytes": result.bytes_read,
        "seconds": round(result.seconds, 3),
        "repeats": result.repeats,
        "clock_offset_ms": result.clock_offset_ms,
        "clock_set": result.clock_set,
        "round_trip_ms": result.round_trip_ms,
        "heap_bytes": result.heap_bytes,
        "kept_from": result.kept_from,
        "alarm": result.alarm,
        "notice": result.notice,
    }


def outcome_document(outcome: Outcome) -> dict[str, object]:
    """Of one port."""
    found: dict[str, object] = {"port": outcome.port, "state": outcome.state.value, "label": outcome.label or None}
    if outcome.result is not None:
        found |= result_document(outcome.result)
    if outcome.problem:
        found["problem"] = outcome.problem
    return found
