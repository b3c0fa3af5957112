"""What to add to the RSSI that a board hears (`radio.rssi_offset_db` of its file), by the board that a token told."""

import logging

from bztoken import boards
from bztoken.errors import BoardError


def offset_db(board: str | None) -> int:
    """0 for a board that nobody told or that has no file here; a file that is wrong is told in a remark, and is 0 too:
    one board must not keep everybody else's contacts from being found.
    """
    if board is None:
        return 0
    try:
        if board not in boards.names():
            return 0
        return int(boards.load(board).description["radio"]["rssi_offset_db"])
    except BoardError as error:
        logging.getLogger(__name__).warning("RSSI heard by this board is taken as it is: %s", error)
        return 0
