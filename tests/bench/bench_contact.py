"""Measures on public recordings how far off an attenuation is, and how well it tells contacts within 2 m from others.

Run by `make bench-contact`; prints the table and writes it to tests/bench/results/contact.md and contact.json. The two
constants of `bztoken.scoring.attenuation` come from its first two lines, the form of the line over distance in
`bztoken.calibration.device_offsets` from the last ones.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import pstdev

import numpy as np
import recordings_csv
from contact_quality import auc, centred, corrected_dbm, levelled, share_within, systematic_db, within_db
from contact_recordings import FOOT_M, Group, edison, range_angle, static_6ft
from results_table import Line, save, table

from bztoken.calibration import judging
from bztoken.calibration.calibrating import DEFAULT_TX_DBM, LEAST_PACKETS, Calibration, calibrate
from bztoken.calibration.device_offsets import LINEAR, LOGARITHM, Terms, fit
from bztoken.calibration.judging import AS_HEARD, OFFSETS, OTHER_GROUPS, SAME_DATA, Judged
from bztoken.calibration.windows import Windows
from bztoken.scoring.attenuation import PER_WINDOW_DB, SYSTEMATIC_DB, off_db

HEAD = """# How good is a contact?

Written by `make bench-contact` from the recordings in `tests/data/contact`: phones, not tokens. An arrangement is who
carried what where, at which angle and distance; the mean of its packets stands for a window. AUC: the chance that of
two arrangements, one within 2 m and one beyond, the nearer one is louder; 0.5 is a coin. Offsets are learned from the
device's other files, never from the one that is corrected. The offset of a carried pair holds where it was carried,
too, which no board file knows: it is the most that a board's offset could gain.

Lines with windows are of `bztoken calibrate`: AUC and balanced accuracy (BA). "Left out": offsets and bound are learned
on the other tests (cable car) or files (carried), never on the one that is judged; devices that the others say nothing
of are judged without an offset. Most of the cable car is published as histograms only: its packets are spread evenly
over the minutes at a distance, so its windows are calmer than they were. Three of its 46 files have real times, and are
held against themselves, spread."""
SIX_FEET_M = 6 * FOOT_M
COMMAND = "`make bench-contact`"


def uncertainty() -> list[Line]:
    """The two constants, and how they do on recordings that they are not from."""
    static = static_6ft()
    carried = [group for group in range_angle() if abs(group.distance_m - SIX_FEET_M) < FOOT_M / 2]
    sigma_db, pairs = off_db(1), len({group.receiver for group in carried})
    return [
        _line(
            f"spread of {len(static)} arrangements at 6 ft, each receiver's level taken out",
            f"{systematic_db(static):.1f} dB; SYSTEMATIC_DB is {SYSTEMATIC_DB:g}",
        ),
        _line(
            "spread of the packets of one arrangement",
            f"{within_db(static):.1f} dB; PER_WINDOW_DB is {PER_WINDOW_DB:g}",
        ),
        _line(
            f"check: {len(carried)} arrangements at 6 ft, of {pairs} pairs, carried: within {sigma_db:.1f} dB (sigma)",
            _share(levelled(carried), sigma_db),
        ),
        _line("the same, the pairs' own levels left in", _share(centred(carried), sigma_db)),
    ]


def _share(off: list[float], sigma_db: float) -> str:
    return f"{share_within(off, sigma_db):.0%} (a normal distribution: 68%), spread {pstdev(off):.1f} dB"


def telling_apart() -> list[Line]:
    """AUC as heard and with offsets."""
    return [
        *_auc("carried by 7 pairs, 2 to 15 ft, 8 angles", range_angle(), {"each pair": lambda it: it.receiver}),
        *_auc(
            "on a cable car, 0 to 3.5 m",
            edison(),
            {
                "each receiver": lambda it: it.receiver,
                "each sender": lambda it: it.sender,
                "each pair": lambda it: f"{it.receiver} {it.sender}",
            },
        ),
    ]


def _auc(what: str, groups: list[Group], devices: dict[str, Callable[[Group], str]]) -> list[Line]:
    described = f"AUC for within 2 m, {len(groups):,} arrangements {what}"
    found = [_line(f"{described}: as heard", f"{auc(groups, [group.mean_dbm for group in groups]):.2f}")]
    for name, device in devices.items():
        measured = auc(groups, corrected_dbm(groups, device))
        found.append(_line(f"the same, with an offset for {name}", f"{measured:.2f}"))
    return found


def _line(what: str, measured: str) -> Line:
    return Line(what, "-", measured, None, COMMAND)


# -- as `bztoken calibrate` has it -----------------------------------------------------------------------------------
def calibrations() -> dict[str, Calibration]:
    """Of the recordings with times."""
    sources = {
        "carried by 7 pairs": recordings_csv.range_angle(),
        "on a cable car": recordings_csv.cable_car(),
        "on a cable car, 3 files with real times": recordings_csv.cable_car_with_times(),
        "on a cable car, the same 3 files spread evenly": recordings_csv.cable_car_with_times(spread=True),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recordings.csv"
        return {
            what: calibrate(recordings_csv.write(path, packets), LEAST_PACKETS, DEFAULT_TX_DBM)
            for what, packets in sources.items()
        }


def windowed(found: dict[str, Calibration]) -> list[Line]:
    """Every way of telling, for 150 s and 900 s."""
    return [line for what, calibration in found.items() for line in _of_calibration(what, calibration)]


def _of_calibration(what: str, found: Calibration) -> Iterator[Line]:
    ways = {(way.window_s, way.correction, way.learned_on): way for way in found.judged}
    for windows in found.windows:
        spans = f"half of them {np.median(windows.span_s):.0f} s or longer"
        yield _line(f"{windows.window_s} s windows, {what}: how many", f"{len(windows):,}, {spans}")
        for name in (AS_HEARD, *OFFSETS):
            same = ways.get((windows.window_s, name, SAME_DATA))
            if same is not None:
                left_out = _told(ways[windows.window_s, name, OTHER_GROUPS])
                measured = f"left out: {left_out}; on the same data: {_told(same)}"
                yield _line(f"{windows.window_s} s windows, {what}: {name}", measured)


def _told(way: Judged) -> str:
    lacking = f" ({way.without_offset / (way.within + way.beyond):.0%} without)" if way.without_offset else ""
    return f"AUC {way.auc:.2f}, BA {way.balanced_accuracy:.2f}{lacking}"


def over_distance(found: dict[str, Calibration]) -> list[Line]:
    """Which line over distance fits what it was not learned from: the root of the mean square that it leaves."""
    lines = []
    for what, calibration in found.items():
        windows = calibration.windows[0]
        for name, terms in OFFSETS.items():
            if name in judging.corrections(windows, told=False):
                left = {distance: _left_db(windows, terms, distance) for distance in (LINEAR, LOGARITHM)}
                if all(left.values()):
                    measured = ", ".join(f"over {distance} {value:.2f} dB" for distance, value in left.items())
                    lines.append(_line(f"left unexplained of windows that were left out, {what}, {name}", measured))
    return lines


def _left_db(windows: Windows, terms: Terms, distance: str) -> float:
    """0 where the other groups know none of the devices."""
    squares: list[float] = []
    for code in range(len(windows.groups)):
        out = windows.group == code
        offsets = fit(windows, terms, ~out, distance)
        if offsets is not None:
            squares += (offsets.residual_db(windows)[out & offsets.known(windows)] ** 2).tolist()
    return float(np.sqrt(np.mean(squares))) if squares else 0.0


def main() -> None:
    """Print the table and save it."""
    found = calibrations()
    measured = {
        "uncertainty": uncertainty(),
        "auc": telling_apart(),
        "windows": windowed(found),
        "distance": over_distance(found),
    }
    print(table(line for lines in measured.values() for line in lines))
    save("contact", HEAD, list(measured), measured)


if __name__ == "__main__":
    main()
