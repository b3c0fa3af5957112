"""Flash: no smaller than the board file says, holds settings over a restart, keeps a log that is read exactly once."""

import pytest
from sqlalchemy import select
from tests.device.desk import DeskToken

from bztoken.registry.database import open_registry
from bztoken.registry.models import Log, Page
from bztoken.token_care import change_settings
from bztoken.token_settings import Hear, Wanted
from bztoken.token_status import is_nearly_full
from bzwire import messages
from bzwire.page import OVERHEAD_BYTES, check_page

PAGES = messages.MAX_READ_BYTES // OVERHEAD_BYTES + 2  # more than one READ holds, when nobody was near


def stored(token: DeskToken) -> list[int]:
    """Numbers of its pages in the registry, in the order of storing."""
    query = select(Page.sequence).join(Log).where(Log.label == token.label).order_by(Page.id)
    with open_registry(token.home) as registry, registry.read() as session:
        return list(session.scalars(query))


def test_the_file_system_fills_the_part_of_the_flash_that_is_meant_for_it(worn: DeskToken) -> None:
    if worn.board.flash_bytes is None:
        pytest.skip("nobody states how large this board's flash is")
    found_bytes, stated_bytes = worn.status().flash_bytes, worn.board.vfs(worn.board.flash_bytes).size
    assert stated_bytes is not None and found_bytes >= stated_bytes  # a module may have more: `bztoken flash` takes it


def test_the_flash_has_room_and_refused_nothing(worn: DeskToken) -> None:
    status = worn.status()
    assert not is_nearly_full(status.flash_bytes, status.flash_free_bytes)
    assert (status.files_put_aside, status.failed_writes, status.days_given_up) == (0, 0, 0)


def test_settings_survive_a_restart(worn: DeskToken) -> None:
    before = worn.status().settings
    assert before is not None
    wanted = Wanted(retention_days=20, hear=Hear.BOTH)
    told = change_settings(worn.home, worn.port, wanted).settings
    worn.restart()
    try:
        after = worn.status().settings
        assert after == told and (after.retention_days, after.hear) == (20, Hear.BOTH)
    finally:
        change_settings(worn.home, worn.port, Wanted(retention_days=before.retention_days, hear=before.hear))


def test_the_log_is_read_once_and_deleted_after_that(worn: DeskToken) -> None:
    """A window may turn by itself at any moment, and then there is one page more."""
    worn.sync()
    before = stored(worn)
    worn.close_windows(3)
    waiting = worn.status().pages_waiting
    assert waiting in (3, 4)
    first = worn.sync()
    assert (first.pages_known, first.kept_from, first.alarm) == (0, None, None)
    assert waiting < first.pages_new <= waiting + 2  # to set the clock closes one more
    assert worn.status().pages <= 1
    again = worn.sync()
    assert again.pages_new in (1, 2) and again.pages_known == 0
    assert stored(worn) == list(range(1, len(before) + first.pages_new + again.pages_new + 1))


def test_the_largest_read_is_answered_and_holds_whole_pages(worn: DeskToken) -> None:
    worn.close_windows(PAGES)
    first = int(worn.command(messages.CMD_STATUS)["f"])
    answer = worn.command(messages.CMD_READ, s=first, o=0, n=worn.info().read_bytes)
    data = memoryview(answer["d"])
    assert (answer["s"], answer["o"], len(data)) == (first, 0, worn.info().read_bytes)
    assert check_page(data).sequence == first
    assert worn.sync().pages_new > PAGES
