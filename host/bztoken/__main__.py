"""`python -m bztoken` is the same as `bztoken`."""

from bztoken.start import run

if __name__ == "__main__":
    run()
