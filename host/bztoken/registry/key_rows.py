"""Keys of cases and of peers as rows, and back: the columns that both tables have, in one place."""

from bztoken.formats.tracing_key import TracingKey
from bztoken.registry.models import CaseKey, PeerKey


def columns_of(key: TracingKey) -> dict[str, object]:
    """What `case_keys` and `peer_keys` both hold of a key."""
    return {
        "scheme": key.scheme,
        "day_key": key.key,
        "time_start_s": key.time_start_s,
        "slots_per_day": key.slots_per_day,
        "time_end_s": key.time_end_s,
        "tx_power_dbm": key.tx_power_dbm,
        "uncertainty_s": key.uncertainty_s,
    }


def key_of(row: CaseKey | PeerKey) -> TracingKey:
    """As the matching takes it; why it is a case is known of a case's key only."""
    reported = (row.report_type, row.days_since_onset) if isinstance(row, CaseKey) else ()
    return TracingKey(
        row.scheme,
        row.day_key,
        row.time_start_s,
        row.slots_per_day,
        row.time_end_s,
        row.tx_power_dbm,
        row.uncertainty_s,
        *reported,
    )
