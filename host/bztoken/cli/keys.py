"""`bztoken keys`: what a file of keys or contacts is, and the key that signs exports. Never shows a key or an ID."""

from pathlib import Path
from typing import Annotated

import typer

from bztoken import key_files
from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, local_day_and_time, zone_named
from bztoken.cli.registry import AsJson
from bztoken.formats import export_signature, key_digest
from bztoken.formats.export_signature import Verdict
from bztoken.formats.gaen_export import GaenExport
from bztoken.home import Home
from bztoken.key_files import KeyFile, KeyFormat

app = typer.Typer(no_args_is_help=True, help="Files of keys and contacts: what they hold, who signed them.")


@app.command()
def inspect(
    file: Annotated[
        Path, typer.Argument(help="A Bluezone case list, a contact history of a phone, or a GAEN export (zip or bin).")
    ],
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="PEM file of whoever should have signed the file.")
    ] = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """Tell what a file holds, and whether its signature is right.

    Changes nothing and shows no keys. With --public-key, anything but a valid signature ends with exit 1.
    """
    local = zone_named(zone)
    key = None if public_key is None else export_signature.load_public_key(public_key)
    found = key_files.inspect(file, key)
    if as_json:
        answer_json(_document(found))
    else:
        span = ""
        if found.first_s is not None and found.last_s is not None:
            span = f", from {local_day_and_time(found.first_s, local)} to {local_day_and_time(found.last_s, local)}"
            span += f" ({zone})"
        answer(f"{_NAMES[found.format]}: {_counts(found)}{span}.")
        if found.export is not None:
            answer(_published(found.export))
        if found.digest is not None:
            answer(f"Digest of all its keys: {key_digest.said(found.digest)}.")
        answer(f"Signature: {_WORDS[found.signature]}.")
    if key is not None:
        key_files.require_signed(file, found.signature)


@app.command("sign-key")
def sign_key(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Where to write the signing key, for example province.pem.")],
    as_json: AsJson = False,
) -> None:
    """Make a key to sign exports with.

    A P-256 key that only you can read and, beside it, its public key for whoever reads the exports.
    """
    home: Home = ctx.obj
    home.require_outside(out)
    public_path = export_signature.make(out)
    if as_json:
        answer_json({"signing_key": str(out), "public_key": str(public_path)})
    else:
        answer(
            f"Made {out} (keep it secret, and a copy of it in a safe) and {public_path} (for who reads the exports)."
        )


_NAMES = {
    KeyFormat.CASE_LIST: "Bluezone case list",
    KeyFormat.GAEN_EXPORT: "GAEN export",
    KeyFormat.HISTORY: "Contact history of a Bluezone phone",
}
_WORDS = {
    Verdict.VALID: "valid",
    Verdict.INVALID: "invalid",
    Verdict.UNVERIFIED: "unverified, since the file has none or no public key was given (--public-key)",
}


def _counts(found: KeyFile) -> str:
    if found.format is KeyFormat.HISTORY:
        return _number(found.contacts, "contact")
    return _number(found.keys, "key") + (f" and {_number(found.revised, 'revised one')}" if found.revised else "")


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _published(export: GaenExport) -> str:
    signers = ", ".join(
        f"{info.key_id or 'without a name'}{f' version {info.key_version}' if info.key_version else ''}"
        for info in export.signature_infos
    )
    told = f"signing key {signers}" if signers else "no signing key named"
    batch = f"batch {export.batch_num} of {export.batch_size}"
    return f"Region {export.region or 'not told'}, {batch}, {told}; the number of keys may include padding."


def _document(found: KeyFile) -> dict[str, object]:
    document: dict[str, object] = {
        "format": found.format.value,
        "keys": found.keys,
        "revised": found.revised,
        "contacts": found.contacts,
        "first_s": found.first_s,
        "last_s": found.last_s,
        "signature": found.signature.value,
        "digest": None if found.digest is None else found.digest.hex(),
    }
    export = found.export
    if export is not None:
        document |= {
            "region": export.region,
            "batch_num": export.batch_num,
            "batch_size": export.batch_size,
            "start_s": export.start_s,
            "end_s": export.end_s,
            "signatures": len(export.signatures),
            "signing_keys": [
                {"id": info.key_id, "version": info.key_version, "algorithm": info.algorithm}
                for info in export.signature_infos
            ],
        }
    return document
