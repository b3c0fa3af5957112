"""Which columns a day's file has, and how they lie in it. Widths and names are the format: a change is a new FORMAT."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from bztoken.errors import LakeError
from bztoken.matching.tolerance import Int64s

FORMAT = 1
ROW_GROUP_ROWS = 131_072
MOST_UNCERTAIN_S = 86_400  # more is told as this: no tolerance reaches farther
CLINIC_BITS = 32  # a log's number in a lake is the clinic's number << 32 | its number in that clinic's registry
NO_PAGE = -1  # of a line of a phone


class Column(NamedTuple):
    """field: its name among `DayColumns`, empty for what matching does not read."""

    name: str
    type: Any
    field: str


COLUMNS = (
    Column("id_hi", pa.int64(), "hi"),
    Column("id_lo", pa.int64(), "lo"),
    Column("first_s", pa.int64(), "first_s"),
    Column("last_s", pa.int64(), "last_s"),
    Column("log", pa.int64(), "log_id"),
    Column("page", pa.int64(), ""),
    Column("window_start_s", pa.int64(), "window_start_s"),
    Column("packets", pa.int32(), "packets"),
    Column("scans", pa.int32(), "scans"),
    Column("scan_period_s", pa.int32(), "scan_period_s"),
    Column("rssi_max_dbm", pa.int16(), "rssi_max_dbm"),
    Column("rssi_mean_dbm", pa.int16(), "rssi_mean_dbm"),
    Column("stale", pa.int8(), "stale"),
    Column("tx_power_dbm", pa.int16(), "tx_power_dbm"),
    Column("uncertainty_s", pa.int32(), "uncertainty_s"),
    Column("gaen", pa.int8(), "gaen"),
    Column("aem", pa.int64(), "aem"),
    Column("rssi_offset_db", pa.int16(), "rssi_offset_db"),
)
NAME_OF_FIELD = {column.field: column.name for column in COLUMNS if column.field}
SCHEMA = pa.schema([pa.field(column.name, column.type, nullable=False) for column in COLUMNS])
_RANDOM = ("id_hi", "id_lo")  # nothing compresses them, and a dictionary of them is as large as they are
_RISING = ("first_s", "last_s", "window_start_s")
# The same rows make the same bytes. Checksums: a flipped bit on a disk must not become another encounter.
WRITE_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": [name for name in SCHEMA.names if name not in _RANDOM + _RISING],
    "column_encoding": dict.fromkeys(_RANDOM, "PLAIN") | dict.fromkeys(_RISING, "DELTA_BINARY_PACKED"),
    "write_page_checksum": True,
}


def table_of(rows: Mapping[str, Int64s]) -> Any:
    """An Arrow table of one array a column. Raises LakeError for a number that its column does not hold."""
    try:
        arrays = [pa.array(rows[column.name]).cast(column.type) for column in COLUMNS]
    except pa.ArrowInvalid as error:
        raise LakeError(
            "a sighting has a number that no device tells: nothing of that day was written, run `bztoken db check`"
        ) from error
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def problem_of_schema(schema: Any) -> str | None:
    """What is wrong with the columns of a file, None when they are as they should be."""
    for field in SCHEMA:
        at = schema.get_all_field_indices(field.name)
        if not at:
            return f"it lacks the column {field.name}"
        if len(at) > 1:
            return f"it has the column {field.name} twice"
        if schema.field(at[0]).type != field.type:
            return f"its column {field.name} is of type {schema.field(at[0]).type}, not {field.type}"
    if len(schema) != len(SCHEMA):
        return "it has columns that this version does not know"
    return None
