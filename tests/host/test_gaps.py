"""Where a log has gaps, and what that means for the next sync and for what a token may delete."""

from collections.abc import Callable

import pytest

from bztoken.registry import gaps, logs, pages, tokens
from bztoken.registry.database import Registry

LOG_KEY = b"\x22" * 32
HERE = [1, 2, 3, 5, 6, 9]


@pytest.fixture
def kept(registry: Registry, make_page: Callable[..., bytes]) -> Registry:
    with registry.write() as session:
        token = tokens.create(session, "Bà An", bytes(8), tokens.ROLE_PERSON, "virtual", 0)
        log = logs.log_of_token(session, token)
        for sequence in HERE:
            pages.import_page(session, log, make_page(LOG_KEY, [], sequence=sequence), LOG_KEY, 0)
        again = make_page(LOG_KEY, [], sequence=2, boot_id=2)  # of a token that had lost its flash
        pages.import_page(session, log, again, LOG_KEY, 0)
    return registry


@pytest.mark.parametrize(("first", "missing"), [(1, 4), (3, 4), (4, 4), (5, 7), (9, 10), (10, 10), (0, 0)])
def test_the_first_missing_page_is_found(kept: Registry, first: int, missing: int) -> None:
    with kept.read() as session:
        assert gaps.first_missing(session, logs.log_of_token(session, tokens.all_tokens(session)[0]), first) == missing


@pytest.mark.parametrize(
    ("first", "keep_from", "goes_on"),
    [(1, None, 4), (5, None, 7), (9, None, 10), (1, 4, 10), (1, 2, 10), (1, 8, 4), (12, None, 10)],
)
def test_a_sync_goes_on_at_the_gap_unless_the_token_keeps_it_anyway(
    kept: Registry, first: int, keep_from: int | None, goes_on: int
) -> None:
    with kept.read() as session:
        log = logs.log_of_token(session, tokens.all_tokens(session)[0])
        assert gaps.read_on_from(session, log, first, 10, keep_from) == goes_on


@pytest.mark.parametrize(("before", "after"), [(0, 3), (2, 3), (4, 6), (6, 6), (8, 9), (40, 40)])
def test_a_token_may_delete_up_to_the_gap_and_never_less_than_before(kept: Registry, before: int, after: int) -> None:
    with kept.write() as session:
        log = logs.log_of_token(session, tokens.all_tokens(session)[0])
        log.safe_sequence = before
        gaps.allow_deletion(session, log)
        assert log.safe_sequence == after
