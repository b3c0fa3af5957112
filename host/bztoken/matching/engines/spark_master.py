"""Whether a text names a Spark master, and whether anybody is there: asked before a JVM starts that would wait long."""

import re
import socket

from bztoken.errors import EngineError

_CONNECT_S = 10.0
_STANDALONE = "spark://"
_CLUSTER_HERE = "local-cluster"  # Spark's own for tests: a standalone cluster on this computer
_MASTER = re.compile(
    r"local|local\[(\*|[1-9]\d*)(,[1-9]\d*)?\]|yarn|k8s://\S+"
    rf"|{_CLUSTER_HERE}\[[1-9]\d*,[1-9]\d*,[1-9]\d*\]|{_STANDALONE}[^\s,:/]+:\d+(,[^\s,:/]+:\d+)*"
)


def check_master(master: str) -> None:
    """Raises EngineError for what is no master, and for one of which nobody takes a connection."""
    if _MASTER.fullmatch(master) is None:
        raise EngineError(
            f"{master!r} is not a Spark master: give local[N], spark://HOST:PORT, yarn or k8s://URL with --master"
        )
    if master.startswith(_STANDALONE):
        places = [place.rpartition(":") for place in master.removeprefix(_STANDALONE).split(",")]
        if not any(_answers(host, int(port)) for host, _, port in places):
            raise EngineError(f"nobody answers at {master}: is the Spark master running, and reachable from here?")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _CONNECT_S).close()
    except (OSError, OverflowError, UnicodeError):  # refused or silent; no port; no name of a host
        return False
    return True


def is_here(master: str) -> bool:
    """Whether its executors are on this computer."""
    return master.startswith("local")


def runs_this_python(master: str) -> bool:
    """Whether they are Pythons beside this one, and not those of a cluster."""
    return is_here(master) and not master.startswith(_CLUSTER_HERE)


def makes_a_secret(master: str) -> bool:
    """Whether Spark itself makes the secret by which executors know the driver, and by which all is encrypted that goes
    between them. A standalone cluster has one of its own, or none: its administrator's settings say.
    """
    return not master.startswith((_STANDALONE, _CLUSTER_HERE))
