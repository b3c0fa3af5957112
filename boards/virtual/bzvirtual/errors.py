"""Errors of the virtual board.

VirtualBoardError
  WorldError        a world file that cannot be read as one (with the line number)
  FleetError        a fleet that cannot start, or a folder that holds none
  TokenDied         a token's process ended unasked
"""


class VirtualBoardError(Exception):
    """Base; the message is one sentence for a person."""


class WorldError(VirtualBoardError):
    """A world file that cannot be read as one."""


class FleetError(VirtualBoardError):
    """A fleet that cannot start, or a folder that holds none."""


class TokenDied(VirtualBoardError):
    """A token's process ended unasked."""
