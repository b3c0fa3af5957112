"""Lives of a token, step by step at random, against a model of a few lines: what is allowed, and who has it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from tests import people

from bztoken import token_life
from bztoken.errors import RegistryError
from bztoken.home import Home
from bztoken.registry import events, issues, tokens
from bztoken.registry.database import Registry, create_registry, open_registry
from bztoken.registry.issues import PERSON
from bztoken.registry.models import Token
from bztoken.token_life import Step

NOW_S = 1_800_000_000
PEOPLE = ("Lê Thị Ân", "Trần Văn Bình")
_numbers = count(1)


@dataclass
class Model:
    """A token as people on the desk think of it. last: whose log is on it; reason: why it is revoked."""

    holder: str | None = None
    last: str | None = None
    reason: str | None = None
    is_back: bool = False
    is_wiped: bool = False

    def issue(self, who: str) -> bool:
        if self.is_wiped or self.reason or self.holder or self.last not in (None, who):
            return False
        self.holder = self.last = who
        return True

    def give_back(self) -> bool:
        if self.is_wiped or not (self.holder or (self.reason and not self.is_back)):
            return False
        self.holder, self.is_back = None, True
        return True

    def revoke(self, reason: str) -> bool:
        if self.is_wiped or self.reason:
            return False
        self.reason, self.is_back = reason, False
        return True

    def restore(self) -> bool:
        if self.is_wiped or not self.reason:
            return False
        self.reason = None
        return True

    def find(self) -> bool:
        return self.reason == "lost" and not self.is_back and self.restore()

    def wipe(self) -> bool:
        self.holder, self.is_wiped = None, True
        return True

    def step(self) -> Step:
        if self.is_wiped:
            return Step.WIPED
        if self.reason == "lost" and not self.is_back:
            return Step.LOST
        if self.holder:
            return Step.ISSUED
        return Step.RETURNED if self.last or (self.reason and self.is_back) else Step.PROVISIONED


Move = tuple[str, Callable[[Model], bool], Callable[[Session, Token], object]]


def _issue(who: str) -> Move:
    return (
        "issue",
        lambda model: model.issue(who),
        lambda session, token: token_life.issue(session, token, people.holder(session, who, NOW_S), NOW_S),
    )


MOVES: tuple[Move, ...] = (
    *(_issue(who) for who in PEOPLE),
    ("return", Model.give_back, lambda session, token: token_life.give_back(session, token, NOW_S)),
    ("lost", lambda model: model.revoke("lost"), lambda session, token: token_life.lose(session, token, NOW_S)),
    (
        "broken",
        lambda model: model.revoke("broken"),
        lambda session, token: tokens.revoke(session, token, NOW_S, "broken"),
    ),
    ("restore", Model.restore, lambda session, token: tokens.restore(session, token, NOW_S)),
    ("found", Model.find, lambda session, token: token_life.find(session, token, NOW_S)),
    ("wipe", Model.wipe, lambda session, token: tokens.wiped(session, token, NOW_S)),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One for all lives: each is of another token."""
    home = Home(Path(tmp_path_factory.mktemp("lives")) / "home")
    create_registry(home)
    with open_registry(home) as registry:
        yield registry


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.sampled_from(MOVES), min_size=4, max_size=20))
def test_a_life_goes_as_the_model_says(shared: Registry, moves: list[Move]) -> None:
    model, number = Model(), next(_numbers)
    with shared.write() as session:
        token = tokens.create(session, f"YB-{number}", number.to_bytes(8, "big"), PERSON, "virtual", NOW_S)
        for name, expected, act in moves:
            told = len(events.of_token(session, token))
            had = issues.open_of(session, token) is not None
            try:
                act(session, token)
                is_done = True
            except RegistryError:
                is_done = False
            assert is_done == expected(model), name
            also_returned = name == "wipe" and had
            assert len(events.of_token(session, token)) == told + is_done + also_returned
            rows = [row for row in issues.of_token(session, token) if row.returned_at_s is None]
            held = [one.name for one in issues.with_names(session, rows)]
            assert held == ([model.holder] if model.holder else [])
            assert token_life.step_of(session, token) == model.step() == token_life.steps(session, [token])[token.id]
