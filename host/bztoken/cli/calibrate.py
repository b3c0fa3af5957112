"""`bztoken calibrate`: what recordings at known distances say of the bands, and what to add to what a board hears."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bztoken.calibration import bands, roc_chart
from bztoken.calibration.calibrating import DEFAULT_TX_DBM, LEAST_PACKETS, Calibration, Fitted, curves
from bztoken.calibration.calibrating import calibrate as calibrated
from bztoken.calibration.judging import OTHER_GROUPS, Judged
from bztoken.calibration.windows import WITHIN_M, Windows
from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.out_files import require_unread, require_writable, write_whole

_HEADINGS = ("window", "learned on", "corrected by", "within", "beyond", "AUC", "balanced accuracy", "bound (dB)")


def calibrate(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv", help="Columns: receiver, transmitter, time_s, rssi_dbm, distance_m (tx_dbm, group)."
        ),
    ],
    out_bands: Annotated[
        Path | None, typer.Option("--out-bands", help="Write the bounds as a preset, with the offsets (TOML).")
    ] = None,
    out_roc: Annotated[Path | None, typer.Option("--out-roc", help="Draw the ROC curves (SVG).")] = None,
    least_packets: Annotated[
        int, typer.Option("--least-packets", min=1, help="Windows with fewer are left out.")
    ] = LEAST_PACKETS,
    tx_dbm: Annotated[
        int, typer.Option("--tx-dbm", min=-127, max=126, help="TX power where a line tells none.")
    ] = DEFAULT_TX_DBM,
    as_json: AsJson = False,
) -> None:
    """Fit offsets and bands to recordings.

    Says how well windows of 150 s and 900 s within 2 m are told from others, with and without an offset a device. With
    a column group, offsets and bounds are learned on the other groups and judged on the one left out.
    """
    _require_outputs(ctx.obj, file, out_bands, out_roc)
    found = calibrated(file, least_packets, tx_dbm)
    if out_bands is not None:
        receivers = [] if found.fitted is None else found.fitted.receivers
        write_whole(out_bands, bands.preset_text(out_bands, file.name, found.bands, tx_dbm, receivers).encode())
    if out_roc is not None:
        write_whole(out_roc, roc_chart.draw(_subtitle(file, found), curves(found)).encode())
    if as_json:
        answer_json(_document(file, found, least_packets, tx_dbm, out_bands, out_roc))
    else:
        _tell(found, out_bands, out_roc)


def _require_outputs(home: Home, file: Path, out_bands: Path | None, out_roc: Path | None) -> None:
    if out_bands is not None and out_roc is not None and out_bands.resolve() == out_roc.resolve():
        raise typer.BadParameter("--out-bands and --out-roc are two files: give each a name of its own")
    if out_bands is not None:
        bands.require_name(out_bands)
    for out in (out_bands, out_roc):
        if out is not None:
            home.require_outside(out)
            require_unread(out, [file])
            require_writable(out)


def _subtitle(file: Path, found: Calibration) -> str:
    learned = "học từ nhóm khác · learned on other groups"
    same = "học từ chính dữ liệu này · learned on the same data"
    return f"{file.name[:40]}: {learned if found.learned_on == OTHER_GROUPS else same}"


# -- for people ------------------------------------------------------------------------------------------------------
def _tell(found: Calibration, out_bands: Path | None, out_roc: Path | None) -> None:
    answer_table(_HEADINGS, [_row(judged) for judged in found.judged], "Nothing could be judged.")
    for windows in found.windows:
        answer(_of_windows(windows))
    _tell_offsets(found.fitted)
    near_db, middle_db, _ = found.bands
    answer(
        f"Bands from these recordings: near up to {near_db:g} dB, middle up to {middle_db:g} dB of attenuation. "
        "A band is no distance."
    )
    for remark in found.remarks:
        say(remark)
    for out, what in ((out_bands, "The bounds are in"), (out_roc, "The curves are in")):
        if out is not None:
            answer(f"{what} {out}.")


def _row(judged: Judged) -> tuple[object, ...]:
    lacking = f" (not for {judged.without_offset})" if judged.without_offset else ""
    return (
        f"{judged.window_s} s",
        judged.learned_on,
        judged.correction + lacking,
        judged.within,
        judged.beyond,
        f"{judged.auc:.2f}",
        f"{judged.balanced_accuracy:.2f}",
        "one a group" if judged.bound_db is None else f"{judged.bound_db:.1f}",
    )


def _of_windows(windows: Windows) -> str:
    dropped = f"; {windows.dropped} more had too few packets" if windows.dropped else ""
    return (
        f"{len(windows)} windows of {windows.window_s} s; half of them span {np.median(windows.span_s):.0f} s or more "
        f"from the first to the last packet{dropped}."
    )


def _tell_offsets(fitted: Fitted | None) -> None:
    if fitted is None:
        return
    rows = [
        (line.device, what, line.windows, f"{line.offset_db:+.1f}", line.rssi_offset_db if what == "receiver" else "")
        for what, lines in (("receiver", fitted.receivers), ("transmitter", fitted.transmitters))
        for line in lines
    ]
    answer_table(("device", "as", "windows", "add to RSSI (dB)", "rssi_offset_db"), rows, "")
    answer("Offsets are against the mean of these devices.")
    for line in fitted.receivers:
        if line.is_board:
            answer(
                f'{line.device} is a board: put "rssi_offset_db": {line.rssi_offset_db} under radio in its '
                f"boards/{line.device}/board.json."
            )


# -- for programs ----------------------------------------------------------------------------------------------------
def _document(
    file: Path, found: Calibration, least_packets: int, tx_dbm: int, out_bands: Path | None, out_roc: Path | None
) -> dict[str, object]:
    near_db, middle_db, _ = found.bands
    return {
        "file": str(file),
        "packets": found.lines,
        "within_m": WITHIN_M,
        "least_packets": least_packets,
        "default_tx_dbm": tx_dbm,
        "windows": [_windows(windows) for windows in found.windows],
        "quality": [judged._asdict() for judged in found.judged],
        "offsets": None if found.fitted is None else _offsets(found.fitted),
        "bands": {"near_max_db": near_db, "middle_max_db": middle_db},
        "remarks": found.remarks,
        "out_bands": None if out_bands is None else str(out_bands),
        "out_roc": None if out_roc is None else str(out_roc),
    }


def _windows(windows: Windows) -> dict[str, object]:
    within = int(windows.within.sum())
    return {
        "window_s": windows.window_s,
        "within": within,
        "beyond": len(windows) - within,
        "dropped": windows.dropped,
        "median_span_s": round(float(np.median(windows.span_s)), 1),
        "groups": len(windows.groups),
    }


def _offsets(fitted: Fitted) -> dict[str, object]:
    def lines(of: list[bands.OffsetLine]) -> list[dict[str, object]]:
        return [{**line._asdict(), "rssi_offset_db": line.rssi_offset_db} for line in of]

    return {
        "receivers": lines(fitted.receivers),
        "transmitters": lines(fitted.transmitters),
        "sets": fitted.offsets.sets,
        "distance": fitted.offsets.distance,
        "residual_db": round(fitted.residual_db, 2),
    }
