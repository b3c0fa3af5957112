"""The list of a batch for people with a spreadsheet: CSV that Excel reads as UTF-8, without numbers of ours or keys."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime, tzinfo

from bztoken.formats.spreadsheet import plain
from bztoken.registry.provision_batches import BatchToken

COLUMNS = ("number", "label", "role", "place", "board", "firmware", "profile", "scheme", "provisioned at")
_ENCODING = "utf-8-sig"  # with the mark by which Excel knows UTF-8


def batch_csv(found: Iterable[BatchToken], zone: tzinfo) -> bytes:
    """The whole file; times are ISO 8601 in `zone`, to the second, with their offset."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for token in found:
        at = datetime.fromtimestamp(token.provisioned_s, zone).isoformat()
        told = (token.label, token.role, token.place, token.board, token.firmware, token.profile, token.scheme, at)
        writer.writerow((token.number, *(plain(cell) for cell in told)))
    return text.getvalue().encode(_ENCODING)
