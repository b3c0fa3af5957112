"""What to say about a token that is due: why, and what to do."""

from bztoken.tokens_due import Due, Reason


def advice(found: Due) -> list[str]:
    """A sentence a reason, most urgent first."""
    return [_SENTENCES[reason].format(**_numbers(found)) for reason in found.reasons]


def _numbers(found: Due) -> dict[str, object]:
    sync = found.known.sync
    offset_ms = (sync.clock_offset_ms if sync is not None else None) or 0
    return {
        "days": found.unseen_days,
        "since": "provisioned" if found.known.seen_s is None else "seen",
        "minutes": round(abs(offset_ms) / 60_000),
        "page": sync.damaged_sequence if sync is not None else None,
    }


_SENTENCES = {
    Reason.CLONE: "Two devices hold its identity: get both here, wipe them and provision one anew "
    "(`bztoken token reissue`).",
    Reason.SEEN_REVOKED: "It was revoked, and somebody plugged it in since: ask who brought it; keep it and "
    "record that (`bztoken token return`), or believe it again (`bztoken token found`, or `restore`).",
    Reason.TO_BE_TOLD: "Its wearer is to be told something and nobody has reached them yet (`bztoken follow-up list`); "
    "sync it, so that its light asks them to call.",
    Reason.ROLLBACK: "It counted lower than before: somebody put back its flash, or it was damaged; sync it, then "
    "provision it anew (`bztoken token reissue`).",
    Reason.DEVELOPMENT: "It is a developer's board, whose cable leads to its keys: nobody may wear it. If somebody "
    "does, take it back; wipe it, flash a production build (`bztoken flash`) and provision it anew.",
    Reason.BATTERY_EMPTY: "Its battery was empty and its radio off: have it charged.",
    Reason.BATTERY_SAVING: "Its battery was nearly empty and it did not listen any more: have it charged.",
    Reason.LOSING_ITS_LOG: "It was {since} {days} days ago and deletes older days unread: sync it now, or revoke it if "
    "it is lost.",
    Reason.NOT_SEEN: "It was {since} {days} days ago: sync it.",
    Reason.LOG_DAMAGED: "Its log is damaged, first at page {page}: let a technician save it, then sync it again.",
    Reason.SYNC_CUT: "Its last sync did not end: sync it again, nothing was lost.",
    Reason.FLASH_NEARLY_FULL: "Its flash was nearly full: sync it more often.",
    Reason.BATTERY_LOW: "Its battery was low: have it charged.",
    Reason.CLOCK_LOST: "It had lost the time when it was last seen, and recorded nothing until then: its battery was "
    "empty, or let a technician look at it.",
    Reason.CLOCK_FAR_OFF: "Its clock was {minutes} minutes off when it was last seen: sync it more often, or let a "
    "technician look at it.",
    Reason.UNFINISHED: "Provisioning it was not finished: plug it in and run `bztoken provision` again.",
    Reason.OLD_FIRMWARE: "Its firmware is older than that of others: update it.",
    Reason.RETURNED: "Returned: wipe it with `bztoken token reissue` before somebody else gets it.",
}
