"""What a test does when a request of the token group passes a `Line`: count, look inside, act, swallow."""

from collections.abc import Callable
from typing import Any

from tests.integration.line import Cut, OnRequest

from bzwire import cbor
from bzwire.messages import CMD_ACKNOWLEDGE
from bzwire.smp import GROUP_TOKEN, Message


def fields_of(request: Message) -> dict[str, Any]:
    """The fields inside a sealed request; it carries a MAC but no secret."""
    return dict(cbor.loads(cbor.loads(request.body)["b"]))


def at_request(command: int, number: int, act: Callable[[], None], swallow: bool = False) -> OnRequest:
    """Act once, before the `number`-th request of this command passes; swallow this and all later ones if wanted."""
    seen = 0

    def on_request(request: Message) -> bool:
        nonlocal seen
        if request.group != GROUP_TOKEN or request.command != command:
            return True
        seen += 1
        if seen == number:
            act()
        return not (swallow and seen >= number)

    return on_request


class CutAtAnswer:
    """The cable is pulled out when the first answer after a request comes back: the token has acted, nobody knows."""

    def __init__(self, command: int) -> None:
        self._asked = False
        self.on_request = at_request(command, 1, self._note)

    def _note(self) -> None:
        self._asked = True

    def to_host(self, _passed: int, data: bytes) -> bytes:
        """For a Line."""
        if self._asked:
            raise Cut(b"")
        return data


class LosesOneAnswer:
    """A cable that loses what comes back first after the first request of a command."""

    def __init__(self, command: int) -> None:
        self._asked = False
        self.on_request = at_request(command, 1, self._note)

    def _note(self) -> None:
        self._asked = True

    def to_host(self, _passed: int, data: bytes) -> bytes:
        """For a Line."""
        lost, self._asked = self._asked, False
        return b"" if lost else data


def pull_out() -> None:
    """Before the request passes."""
    raise Cut(b"")


def at_last_acknowledgement(sequence: int, act: Callable[[], None]) -> OnRequest:
    """Act once, before an acknowledgement of this page or a later one passes, and swallow it and all later ones."""
    over = False

    def on_request(request: Message) -> bool:
        nonlocal over
        wanted = request.group == GROUP_TOKEN and request.command == CMD_ACKNOWLEDGE
        if wanted and not over and fields_of(request)["s"] >= sequence:
            over = True
            act()
        return not (wanted and over)

    return on_request


def each_request(command: int, look: Callable[[dict[str, Any]], None]) -> OnRequest:
    """Look into every sealed request of this command before it passes."""

    def on_request(request: Message) -> bool:
        if request.group == GROUP_TOKEN and request.command == command:
            look(fields_of(request))
        return True

    return on_request
