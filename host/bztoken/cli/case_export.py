"""`bztoken case export`: the keys of a case in a format of others."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.formats.export_signature import load_private_key
from bztoken.formats.gaen_export_writer import PAD_TO
from bztoken.home import Home
from bztoken.registry.database import open_registry
from bztoken.tracing import case_export as exports


class Format(StrEnum):
    """What can be written."""

    BLUEZONE = "bluezone"
    GAEN = "gaen"


def export(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the case.")],
    form: Annotated[Format, typer.Option("--format", help="Bluezone case list, or signed GAEN export.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    sign_key: Annotated[
        Path | None, typer.Option("--sign-key", help="GAEN: signing key, from `bztoken keys sign-key`.")
    ] = None,
    region: Annotated[str, typer.Option("--region", help="GAEN: for which region, for example VN.")] = "VN",
    key_id: Annotated[
        str, typer.Option("--key-id", help="GAEN: which key; by custom the mobile country code.")
    ] = "452",
    key_version: Annotated[str, typer.Option("--key-version", help="GAEN: which version of it.")] = "v1",
    pad_to: Annotated[
        int, typer.Option("--pad-to", min=1, help="GAEN: pad with keys of nobody up to so many.")
    ] = PAD_TO,
    as_json: AsJson = False,
) -> None:
    """Write the keys of an active case.

    Keys of Bluezone as a case list, keys of GAEN as a signed export, padded so that its length tells nothing.
    """
    if (form is Format.GAEN) != (sign_key is not None):
        raise typer.BadParameter("a GAEN export is signed, a Bluezone list is not: --sign-key goes with --format gaen")
    home: Home = ctx.obj
    home.require_clinic()
    home.require_outside(out)
    with open_registry(home) as registry:
        if sign_key is None:
            keys = written = exports.export_bluezone(registry, name, out, int(time.time()))
        else:
            signing = exports.Signing(load_private_key(sign_key), region, key_id, key_version, pad_to)
            keys, written = exports.export_gaen(registry, name, out, signing, int(time.time()))
    if as_json:
        answer_json({"case": name, "format": form.value, "out": str(out), "keys": keys, "written": written})
    elif written > keys:
        answer(f"Wrote {out}: {keys} keys of the case among {written}; the others are nobody's.")
    else:
        answer(f"Wrote {out}: {keys} keys.")
