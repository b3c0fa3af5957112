"""`bztoken sync`: read the logs of one token, of all that are plugged in, or of whatever is plugged in from now on."""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Annotated

import typer

from bztoken.cli.output import answer_json, say
from bztoken.cli.purge import purge_home_when_due, purge_when_due
from bztoken.cli.registry import AsJson
from bztoken.cli.sync_view import Bars, Reporter, outcome_document, result_document, sentences, tell
from bztoken.errors import LinkError
from bztoken.home import Home
from bztoken.link.ports import FoundPort, candidates
from bztoken.registry.database import Registry, open_registry
from bztoken.sync import sync as sync_token
from bztoken.sync_many import ManySyncs, Outcome, State, require_some

PURGE_POLL_S = 3600


def sync(
    ctx: typer.Context,
    port: Annotated[
        list[str] | None,
        typer.Option("--port", help="Serial port of a token, for example /dev/ttyACM0; may be given several times."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Sync every token that is plugged in, side by side.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and sync whatever is plugged in, until Ctrl-C.")
    ] = False,
    among: Annotated[
        list[str] | None,
        typer.Option(
            "--among", help="With --all or --watch: try these ports, a pattern in quotes, whatever their USB numbers."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read tokens' logs into the registry, set their clocks.

    A token may then delete what is safe here. May be interrupted or repeated at any time: nothing is lost and nothing
    is stored twice. With --json, --watch gives one object a line, for each token when it is done.
    """
    if sum((bool(port), everything, watch)) != 1:
        raise typer.BadParameter("say one of --port, --all and --watch")
    if among and port:
        raise typer.BadParameter("--among goes with --all or --watch")
    purge_home_when_due(ctx.obj)
    if watch:
        _watch(ctx.obj, among or [], as_json)
    elif port and len(port) == 1:
        _one(ctx.obj, port[0], as_json)
    else:
        ports = [FoundPort(path, path, "") for path in dict.fromkeys(port)] if port else candidates(among or [])
        _many(ctx.obj, ports, as_json, named=bool(port))


def _one(home: Home, port: str, as_json: bool) -> None:
    with Bars() as bars:
        result = sync_token(home, port, lambda done, total: bars.progress(port, done, total))
    if as_json:
        answer_json(result_document(result))
        return
    for sentence in sentences(result):
        typer.echo(sentence)


def _many(home: Home, ports: Sequence[FoundPort], as_json: bool, named: bool) -> None:
    """All of them; exit 1 when one could not be synced. named: somebody says that there is a token at each."""
    outcomes = asyncio.run(_sync_all(home, ports)) if ports else []
    require_some(outcomes)
    if as_json:
        answer_json({"ports": [outcome_document(outcome) for outcome in outcomes]})
    else:
        for outcome in outcomes:
            tell(outcome)
    failed = sum(outcome.state == State.FAILED or (named and outcome.state == State.LEFT_ALONE) for outcome in outcomes)
    if failed:
        synced = sum(outcome.state == State.SYNCED for outcome in outcomes)
        raise LinkError(f"{failed} of {failed + synced} tokens could not be synced: see above, and repeat it for them.")


async def _sync_all(home: Home, ports: Sequence[FoundPort]) -> list[Outcome]:
    with open_registry(home) as registry, Bars() as bars:
        return await ManySyncs(home, registry, bars).sync_all(ports)


def _watch(home: Home, patterns: Sequence[str], as_json: bool) -> None:
    say("Waiting for tokens: plug them in, one or several at a time. Ctrl-C ends it.")
    asyncio.run(_watch_until_stopped(home, patterns, as_json))


async def _watch_until_stopped(home: Home, patterns: Sequence[str], as_json: bool) -> None:
    """Ctrl-C, or a polite kill, ends it: what is being read stays as far as it came."""
    with open_registry(home) as registry, Reporter(as_json) as reporter:
        watching = asyncio.ensure_future(ManySyncs(home, registry, reporter).watch(lambda: candidates(patterns)))
        loop = asyncio.get_running_loop()
        purging = asyncio.ensure_future(_purge_daily(registry))
        for number in (signal.SIGINT, signal.SIGTERM):
            if os.name == "posix":
                loop.add_signal_handler(number, watching.cancel)
        try:
            await watching
        except asyncio.CancelledError:
            say("Stopped.")
        finally:
            purging.cancel()


async def _purge_daily(registry: Registry) -> None:
    """For as long as somebody watches: it asks every hour, and does something once a day."""
    while True:
        await asyncio.sleep(PURGE_POLL_S)
        await asyncio.to_thread(purge_when_due, registry)
