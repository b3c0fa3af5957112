"""Collects what is heard in one 5-minute window: per ID when, how often, how strong."""

from bzwire.page import MAX_RECORDS, Record

WINDOW_S = 300
MAX_TRACKED = 2 * MAX_RECORDS  # more than a page holds, so that a late strong ID still gets in
MAX_U16 = 65535

_FIRST_S, _LAST_S, _PACKETS, _SCANS, _LAST_SCAN, _RSSI_MAX, _RSSI_SUM, _TX = range(8)


class Window:
    """start_s: Unix second of the window's beginning, a multiple of WINDOW_S unless the clock was set inside it."""

    def __init__(self, start_s: int) -> None:
        self.start_s = start_s
        self._heard: "dict[bytes, list[int]]" = {}
        self._scan = 0
        self.crowded = False

    def begin_scan(self) -> None:
        """Packets from now on belong to a new scan."""
        self._scan += 1

    def add(self, now_s: int, rotating_id: bytes, rssi_dbm: int, tx_power_dbm: int) -> None:
        """One packet heard."""
        at_s = min(max(now_s - self.start_s, 0), MAX_U16)
        entry = self._heard.get(rotating_id)
        if entry is None:
            if len(self._heard) >= MAX_TRACKED and not self._make_room(rssi_dbm):
                return
            self._heard[rotating_id] = [at_s, at_s, 1, 1, self._scan, rssi_dbm, rssi_dbm, tx_power_dbm]
            return
        entry[_LAST_S] = at_s
        entry[_PACKETS] += 1
        entry[_RSSI_SUM] += rssi_dbm
        if entry[_LAST_SCAN] != self._scan:
            entry[_LAST_SCAN] = self._scan
            entry[_SCANS] += 1
        if rssi_dbm > entry[_RSSI_MAX]:
            entry[_RSSI_MAX] = rssi_dbm

    def _make_room(self, rssi_dbm: int) -> bool:
        """Forget the weakest ID if it is weaker than the newcomer."""
        self.crowded = True
        weakest = min(self._heard, key=lambda rotating_id: self._heard[rotating_id][_RSSI_MAX])
        if self._heard[weakest][_RSSI_MAX] >= rssi_dbm:
            return False
        del self._heard[weakest]
        return True

    def records(self) -> "list[Record]":
        """The strongest MAX_RECORDS IDs, in the order of first hearing."""
        entries = sorted(self._heard.items(), key=lambda item: -item[1][_RSSI_MAX])
        if len(entries) > MAX_RECORDS:
            self.crowded = True
            entries = entries[:MAX_RECORDS]
        entries.sort(key=lambda item: item[1][_FIRST_S])
        return [_record(rotating_id, entry) for rotating_id, entry in entries]


def _record(rotating_id: bytes, entry: "list[int]") -> Record:
    return Record(
        rotating_id,
        entry[_FIRST_S],
        entry[_LAST_S],
        min(entry[_PACKETS], MAX_U16),
        min(entry[_SCANS], 255),
        entry[_RSSI_MAX],
        # rounded to the nearest dB; // alone would lean to the weaker side
        (2 * entry[_RSSI_SUM] + entry[_PACKETS]) // (2 * entry[_PACKETS]),
        entry[_TX],
    )
