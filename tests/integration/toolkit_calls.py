"""Makes calls of mcumgr-toolkit at a port; run by `standard_clients.toolkit` as a program of its own.

Of its own, because that library keeps Python's lock while it waits for an answer, and the virtual tokens of a test live
in threads of the test's process. Stdin: {"port", "timeout_ms", "calls": [[method, arguments..], ..]}; a datetime is
{"utc": ISO text}. Stdout: a line of JSON for each call, {"value"} or {"error"}.
"""

import json
import sys
from datetime import datetime
from typing import Any

from mcumgr_toolkit import MCUmgrClient, MCUmgrParameters

TRIES_AGAIN = 0


def _argument(value: Any) -> Any:
    return datetime.fromisoformat(value["utc"]) if isinstance(value, dict) and set(value) == {"utc"} else value


def _plain(value: Any) -> Any:
    """Something that JSON can hold."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, MCUmgrParameters):
        return {"buf_size": value.buf_size, "buf_count": value.buf_count}
    return value


def main() -> None:
    order = json.load(sys.stdin)
    with MCUmgrClient.serial(order["port"], timeout_ms=order["timeout_ms"]) as client:
        client.set_retries(TRIES_AGAIN)
        for name, *arguments in order["calls"]:
            try:
                answer = {"value": _plain(getattr(client, name)(*map(_argument, arguments)))}
            except RuntimeError as error:  # all that the library raises
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
