"""What a token may delete: whole days that the registry holds, and nothing before that."""

import asyncio
from typing import Any

import pytest
from tests.integration.clinic import Clinic, attached, mounted
from tests.integration.line import Cut, Line
from tests.integration.requests_seen import at_request, each_request

from bztoken.errors import LinkError
from bztoken.sync import COMMIT_PAGES, sync
from bzwire import messages
from bzwire.page import read_header

AN = "Bà An"


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


def days_in_flash(clinic: Clinic) -> list[str]:
    """Day files, oldest first: day and first page number."""
    return sorted(mounted(clinic.image(AN)).listdir("/log"), key=lambda name: name[7:])


def last_of_first_day(clinic: Clinic) -> int:
    """The number of the last page in the oldest file."""
    return int(days_in_flash(clinic)[1][7:17]) - 1


def test_a_page_is_stored_before_it_is_acknowledged(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    acknowledged: list[int] = []

    def look(fields: dict[str, Any]) -> None:
        stored = [page.sequence for page in clinic.stored(AN)]
        assert stored[: fields["s"]] == list(range(1, fields["s"] + 1))  # more may be stored while it is on its way
        acknowledged.append(fields["s"])

    seen = each_request(messages.CMD_ACKNOWLEDGE, look)
    with attached(clinic.fleet) as there, Line(there.ports[AN], on_request=seen) as line:
        sync(clinic.home, line.path, quiet)
    assert len(acknowledged) >= 2
    assert acknowledged == sorted(set(acknowledged))
    assert acknowledged[-1] == clinic.stored(AN)[-1].sequence


def test_a_whole_sync_leaves_only_pages_written_since(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    assert len(days_in_flash(clinic)) == 2
    with attached(clinic.fleet) as there:
        sync(clinic.home, there.ports[AN], quiet)
    last = clinic.stored(AN)[-1].sequence
    assert all(sequence > last for sequence in clinic.sequences_in_flash(AN))


def test_days_that_are_partly_acknowledged_stay_whole(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    before = clinic.pages_in_flash(AN)
    last = last_of_first_day(clinic)
    with attached(clinic.fleet) as there:
        asyncio.run(clinic.command(there.ports[AN], messages.CMD_ACKNOWLEDGE, s=last - 1))
    assert clinic.pages_in_flash(AN)[: len(before)] == before


def test_a_day_is_deleted_with_its_last_page_and_the_next_day_stays(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    before = clinic.pages_in_flash(AN)
    last = last_of_first_day(clinic)
    with attached(clinic.fleet) as there:
        asyncio.run(clinic.command(there.ports[AN], messages.CMD_ACKNOWLEDGE, s=last))
    kept = [page for page in before if read_header(page).sequence > last]
    assert kept
    assert clinic.pages_in_flash(AN)[: len(kept)] == kept


def test_an_acknowledgement_below_an_earlier_one_changes_nothing(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        assert asyncio.run(clinic.command(port, messages.CMD_ACKNOWLEDGE, s=50)) == {"a": 50}
        assert asyncio.run(clinic.command(port, messages.CMD_ACKNOWLEDGE, s=20)) == {"a": 50}


def test_pages_that_the_token_was_not_told_of_stay_in_flash(clinic_of_an: Clinic) -> None:
    """The cable is pulled out as the first acknowledgement is on its way: the token deletes nothing."""
    clinic = clinic_of_an
    before = clinic.pages_in_flash(AN)

    def pull_out() -> None:
        raise Cut(b"")

    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        on_request = at_request(messages.CMD_ACKNOWLEDGE, 1, pull_out)
        with Line(port, on_request=on_request) as line, pytest.raises(LinkError):
            sync(clinic.home, line.path, quiet)
        assert asyncio.run(clinic.acknowledged(port)) == 0
    assert len(clinic.stored(AN)) >= COMMIT_PAGES
    assert clinic.pages_in_flash(AN)[: len(before)] == before


def test_a_second_sync_reads_only_what_is_new(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    with attached(clinic.fleet) as there:
        first = sync(clinic.home, there.ports[AN], quiet)
        second = sync(clinic.home, there.ports[AN], quiet)
    assert first.pages_new > 200
    assert (second.pages_known, second.pages_new) in ((0, 1), (0, 2))  # 2: a window ended in between
    stored = [page.sequence for page in clinic.stored(AN)]
    assert stored == list(range(1, len(stored) + 1))
