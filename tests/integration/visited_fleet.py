"""A fleet in virtual time whose tokens a station visits now and then: reads each clock and sets it, as a sync does."""

from collections.abc import Sequence
from typing import Any

from bztoken.registry.clock_points import ClockReading, reading
from bzvirtual.desk import Desk, Identity
from bzvirtual.fleet import FleetRun, Manifest, RunResult
from bzvirtual.lockstep import Token
from bzwire import messages
from bzwire.bluezone import DAY_S

SECOND_US = 1_000_000
ROUND_TRIP_NS = 20_000_000


class VisitedFleet(FleetRun):
    """readings: what the station wrote down, by person."""

    readings: dict[str, list[ClockReading]]

    def live(self, days: float, visits_s: Sequence[float], restarts_s: Sequence[float]) -> RunResult:
        """Live through the days, with visits and restarts so many seconds after the start; then as `run` ends."""
        self.readings = {person.name: [] for person, _, _ in self._tokens}
        end_s = self._start_s + round(days * DAY_S)
        for after_s in sorted([*visits_s, *restarts_s]):
            self.lockstep.run_until(round((self._start_s + after_s) * SECOND_US), self._told)
            for (person, token, _), identity in zip(self._tokens, self._identities, strict=True):
                if after_s in restarts_s:
                    self.lockstep.restart(token)
                else:
                    self.readings[person.name] += self._visit(token, identity)
        self.lockstep.run_until(end_s * SECOND_US, self._told)
        self._note_clocks(end_s)
        self.lockstep.stop()
        manifest = Manifest(self._world.name, self._seed, self._start_s, end_s, self.members)
        self._write(manifest)
        return RunResult(manifest, 0, self._broadcasts)

    def _told(self, now_us: int) -> None:
        self._note_clocks(now_us / SECOND_US)

    def _visit(self, token: Token, identity: Identity) -> list[ClockReading]:
        """Plug in, read the clock, set it, read it again, unplug."""
        self.lockstep.plug(token)
        while token.process.asleep:
            self.lockstep.run_until(self.lockstep.now_us + SECOND_US // 2, self._told)
        desk = Desk(self.lockstep)
        session = desk._open(token, identity)

        def ask(counter: int, command: int, fields: dict[str, Any]) -> dict[str, Any]:
            envelope = messages.seal(session, messages.REQUEST, command, counter, fields)
            answer = desk._ask(token, command, envelope)
            return messages.unseal(session, messages.RESPONSE, command, answer)[1]

        now_ns = self.lockstep.now_us * 1000
        asked = now_ns - ROUND_TRIP_NS // 2, now_ns + ROUND_TRIP_NS // 2
        before = ask(1, messages.CMD_STATUS, {})
        ask(2, messages.CMD_SET_CLOCK, {"t": now_ns // 1_000_000})
        settled = ask(3, messages.CMD_STATUS, {})
        self.lockstep.unplug(token)
        return [reading(before, *asked, next_sequence=int(settled["n"])), reading(settled, *asked)]
