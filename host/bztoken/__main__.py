"""`python -m bztoken` is the same as `bztoken`."""

from bztoken.cli.main import run

if __name__ == "__main__":
    run()
