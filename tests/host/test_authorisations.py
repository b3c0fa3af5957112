"""Codes for cases: bound to keys, single use, in time, drawn by another person; a guess is counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import select
from stdnum import damm
from tests.case_desk import DOCTOR, TRACER

from bztoken.formats.key_digest import digest_of, parse, said
from bztoken.formats.tracing_key import SCHEME_BLUEZONE, TracingKey
from bztoken.registry import authorisations, cases, events
from bztoken.registry.authorisations import MAX_WRONG_TRIES
from bztoken.registry.database import Registry
from bztoken.registry.models import Authorisation

NOW_S = 1_800_000_000
HOUR_S = 3600


def key(letter: bytes, start_s: int = NOW_S) -> TracingKey:
    return TracingKey(SCHEME_BLUEZONE, letter * 32, start_s, 96, start_s + 86399)


MINE, OTHERS = digest_of([key(b"a")]), digest_of([key(b"b")])


def draw(registry: Registry, digest: bytes = MINE, now_s: int = NOW_S, hours: int = 24) -> str:
    with events.acting_as(DOCTOR), registry.write() as session:
        return authorisations.draw(session, digest, now_s, hours)


def give(registry: Registry, code: str, digest: bytes = MINE, now_s: int = NOW_S, by: str = TRACER) -> str | None:
    """What is wrong with it; None when it was spent for a case of these keys."""
    with events.acting_as(by), registry.write() as session:
        row = authorisations.check(session, digest, TRACER, code, now_s)
        if isinstance(row, str):
            return row
        new = cases.NewCase(f"F0-{row.id}", cases.SOURCE_LIST, [key(b"a")])
        authorisations.spend(session, row, cases.add_draft(session, new, now_s), now_s)
        return None


@contextmanager
def rows(registry: Registry) -> Iterator[list[Authorisation]]:
    with registry.read() as session:
        yield list(session.scalars(select(Authorisation).order_by(Authorisation.id)))


def another(code: str) -> str:
    """A code that could be one, and is not this."""
    digits = f"{(int(code[:-1]) + 1) % 10**7:07d}"
    return digits + damm.calc_check_digit(digits)


def test_a_code_has_eight_digits_of_which_the_last_checks_the_others(registry: Registry) -> None:
    code = draw(registry)
    assert len(code) == 8 and code.isdigit() and damm.is_valid(code)
    assert authorisations.shown(code) == f"{code[:4]} {code[4:]}"


def test_a_code_serves_once(registry: Registry) -> None:
    code = draw(registry)
    assert give(registry, code) is None
    assert "was used already, and a code serves once" in str(give(registry, code))
    with rows(registry) as found:
        assert (found[0].used_by, found[0].used_at_s, found[0].drawn_by) == (TRACER, NOW_S, DOCTOR)


@pytest.mark.parametrize("spelling", ["{0} {1}", " {0}-{1}\n", "{0}{1}"])
def test_a_code_may_be_typed_as_it_was_read(registry: Registry, spelling: str) -> None:
    code = draw(registry)
    assert give(registry, spelling.format(code[:4], code[4:])) is None


def test_a_code_is_for_its_keys_and_no_sentence_tells_what_else_it_fits(registry: Registry) -> None:
    draw(registry)
    other = draw(registry, OTHERS)
    told = give(registry, other)
    assert "it is wrong or for other keys" in str(told) and "4 tries are left" in str(told)
    assert "no code was drawn for these keys" in str(give(registry, other, digest_of([key(b"c")])))
    with rows(registry) as found:
        assert [(row.used_at_s, row.wrong_tries) for row in found] == [(None, 1), (None, 0)]


def test_a_code_expires_to_the_second(registry: Registry) -> None:
    code = draw(registry, hours=2)
    assert "has expired" in str(give(registry, code, now_s=NOW_S + 2 * HOUR_S))
    assert give(registry, code, now_s=NOW_S + 2 * HOUR_S - 1) is None


def test_five_wrong_codes_end_the_right_one(registry: Registry) -> None:
    code = draw(registry)
    for left in (4, 3, 2, 1):
        assert f"{left} tries are left" in str(give(registry, another(code)))
    assert "that was the last try" in str(give(registry, another(code)))
    assert "5 wrong codes for these keys have ended this one" in str(give(registry, code))
    with rows(registry) as found:
        assert found[0].wrong_tries == MAX_WRONG_TRIES
    assert give(registry, draw(registry)) is None


@pytest.mark.parametrize("code", ["", "1234567", "123456789", "abcdefgh", "１２３４５６７８"])
def test_what_is_no_code_is_no_try(registry: Registry, code: str) -> None:
    draw(registry)
    assert "this is no code" in str(give(registry, code))
    with rows(registry) as found:
        assert found[0].wrong_tries == 0


def test_one_digit_misheard_is_noticed_and_is_no_try(registry: Registry) -> None:
    code = draw(registry)
    for at in range(8):
        wrong = code[:at] + str((int(code[at]) + 3) % 10) + code[at + 1 :]
        assert "one of its eight digits is wrong" in str(give(registry, wrong))
    assert give(registry, code) is None


def test_a_second_code_ends_the_first(registry: Registry) -> None:
    first = draw(registry)
    second = draw(registry, now_s=NOW_S + 1)
    assert "has expired" in str(give(registry, first, now_s=NOW_S + 1))
    assert give(registry, second, now_s=NOW_S + 1) is None


def test_whoever_drew_a_code_cannot_give_it(registry: Registry) -> None:
    code = draw(registry)
    assert "must be two persons" in str(give(registry, code, by=DOCTOR))
    assert give(registry, code) is None


def test_whoever_recorded_the_case_cannot_have_drawn_the_code(registry: Registry) -> None:
    code = draw(registry)
    with events.acting_as(TRACER), registry.write() as session:
        assert "must be two persons" in str(authorisations.check(session, MINE, DOCTOR, code, NOW_S))


def test_a_code_can_be_drawn_for_a_digest_that_was_read_out(registry: Registry) -> None:
    heard = parse(said(MINE).lower().replace("-", " "))
    assert heard is not None
    assert give(registry, draw(registry, heard)) is None


def test_no_code_is_stored_as_it_is(registry: Registry) -> None:
    codes = [draw(registry), draw(registry, OTHERS)]
    with rows(registry) as found:
        assert len({row.salt for row in found}) == 2
        for code, row in zip(codes, found, strict=True):
            assert len(row.code_hash) == 32 and code.encode() not in row.code_hash + row.salt


def test_a_digest_is_of_the_keys_whatever_their_order_and_end() -> None:
    keys = [key(b"a"), key(b"b", NOW_S + 86400)]
    assert digest_of(keys) == digest_of(keys[::-1]) != digest_of(keys[:1])
    early = TracingKey(SCHEME_BLUEZONE, b"a" * 32, NOW_S, 96, NOW_S + 5)
    assert digest_of([early]) == MINE
    assert digest_of([key(b"a", NOW_S + 900)]) != MINE
    assert digest_of([replace(key(b"a"), slots_per_day=1)]) != MINE, "a part of a day's IDs"
    assert digest_of([], [(b"1" * 12, NOW_S)]) != digest_of([], [(b"1" * 12, NOW_S + 900)])


@pytest.mark.parametrize("text", ["", "ABCD", "1" * 24, "A" * 23, "A" * 25, "g" * 64])
def test_what_is_no_digest_is_none(text: str) -> None:
    assert parse(text) is None
