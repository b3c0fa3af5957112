"""Measures on public recordings how far off an attenuation is, and how well it tells contacts within 2 m from others.

Run by `make bench-contact`; prints the table and writes it to tests/bench/results/contact.md and contact.json. The two
constants of `bztoken.scoring.attenuation` come from its first two lines.
"""

from collections.abc import Callable
from statistics import pstdev

from contact_quality import auc, centred, corrected_dbm, levelled, share_within, systematic_db, within_db
from contact_recordings import FOOT_M, Group, edison, range_angle, static_6ft
from results_table import Line, save, table

from bztoken.scoring.attenuation import PER_WINDOW_DB, SYSTEMATIC_DB, off_db

HEAD = """# How good is a contact?

Written by `make bench-contact` from the recordings in `tests/data/contact`: phones, not tokens. An arrangement is who
carried what where, at which angle and distance; the mean of its packets stands for a window. AUC: the chance that of
two arrangements, one within 2 m and one beyond, the nearer one is louder; 0.5 is a coin. Offsets are learned from the
device's other files, never from the one that is corrected. The offset of a carried pair holds where it was carried,
too, which no board file knows: it is the most that a board's offset could gain."""
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


def main() -> None:
    """Print the table and save it."""
    measured = {"uncertainty": uncertainty(), "auc": telling_apart()}
    print(table(line for lines in measured.values() for line in lines))
    save("contact", HEAD, list(measured), measured)


if __name__ == "__main__":
    main()
