"""How a batch shows what happens: a running count on stderr, a line a token on stdout, a beep for each failure."""

from rich.progress import TextColumn

from bztoken.cli.bars import ShowsBars, on_stderr
from bztoken.cli.output import answer, answer_json_line, say
from bztoken.provision_batch import Outcome, State, Tally


class BatchView(ShowsBars):
    """Told by ManyProvisions. In a pipe there is no running count and no beep."""

    def __init__(self, as_json: bool, quiet_bell: bool) -> None:
        self._as_json = as_json
        self._quiet_bell = quiet_bell
        self._progress = on_stderr(TextColumn("{task.description}", markup=False))
        self._count = self._progress.add_task("", total=None)
        self._counted = self._blinking = ""

    def over(self, outcome: Outcome, is_news: bool) -> None:
        """A line, and a beep for a failure."""
        if not is_news:
            return
        if self._as_json:
            answer_json_line(outcome_document(outcome))
        else:
            tell(outcome)
        if outcome.state == State.FAILED:
            self.bell()

    def tally(self, tally: Tally) -> None:
        """The running count."""
        self._counted = in_words(tally)
        self._refresh()

    def blinks(self, label: str | None) -> None:
        """What to do with the token that blinks."""
        if label is not None:
            say(f"Stick label {label} on the token that blinks, then pull it out.")
        self._blinking = f" · {label} blinks" if label is not None else ""
        self._refresh()

    def has_no_light(self) -> None:
        """How one finds out which token gets which label all the same."""
        say("These tokens have no light: pull out one at a time, and its label is named here.")

    def pulled_out(self, label: str) -> None:
        """What to do with the token in somebody's hand."""
        say(
            f"Stick label {label} on the token that was pulled out just now. Was it more than one? Plug them in again, "
            "and pull out one at a time."
        )

    def _refresh(self) -> None:
        """The last line stays in sight, whatever scrolls by above it."""
        self._progress.update(self._count, description=self._counted + self._blinking)

    def bell(self) -> None:
        """A beep of the terminal."""
        if not self._quiet_bell:
            self._progress.console.bell()


def in_words(tally: Tally) -> str:
    """How far it is, in one line."""
    parts = [f"{tally.done} provisioned" if tally.wanted is None else f"{tally.done} of {tally.wanted} provisioned"]
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    if tally.under_way:
        parts.append(f"{tally.under_way} under way")
    if tally.left_s:
        parts.append("less than a minute left" if tally.left_s < 60 else f"about {tally.left_s / 60:.0f} min left")
    return ", ".join(parts)


def tell(outcome: Outcome) -> None:
    """What happened at one port: on stdout when it has its label, else on stderr."""
    done = outcome.done
    if done is not None:
        answer(f"{outcome.port}: {outcome.label} ({done.role}, board {done.board}, firmware {done.firmware})")
    elif outcome.state == State.KNOWN:
        answer(f"{outcome.port}: {outcome.label}, provisioned before")
    else:
        who = f"{outcome.label} at {outcome.port}" if outcome.label else outcome.port
        say(f"{who}: {outcome.problem}")


def outcome_document(outcome: Outcome) -> dict[str, object]:
    """Of one port."""
    found: dict[str, object] = {"port": outcome.port, "state": outcome.state.value, "label": outcome.label or None}
    if outcome.done is not None:
        found |= {"role": outcome.done.role, "board": outcome.done.board, "firmware": outcome.done.firmware}
    if outcome.problem:
        found["problem"] = outcome.problem
    return found
