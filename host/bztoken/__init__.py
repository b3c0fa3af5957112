"""Host tools of Bluezone Token: registry, sync, cases, matching, and the command line over them."""

__version__ = "0.1.0"
