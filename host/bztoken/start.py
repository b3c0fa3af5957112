"""Where the program begins: loads the commands, which takes a second, so that Ctrl-C in that second is no traceback."""

import sys

EXIT_INTERRUPTED = 130


def run() -> None:
    """The console script."""
    try:
        from bztoken.cli.main import run as run_command
    except KeyboardInterrupt:
        sys.stderr.write("bztoken: interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    run_command()
