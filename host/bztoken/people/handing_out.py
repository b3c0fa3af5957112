"""Hands out many tokens by a list: all of it or nothing; who is not registered yet is, when the list says enough.

Lines are told by their numbers, never by names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from bztoken import token_life
from bztoken.errors import FormatError, PersonError, RegistryError
from bztoken.formats.issue_list import IssueLine
from bztoken.people import person_desk
from bztoken.registry import communes, consents, issues, persons, sites, tokens
from bztoken.registry.consents import Given
from bztoken.registry.issues import Holder
from bztoken.registry.models import Person, Token
from bztoken.registry.persons import Facts

_CONSENT = ("consent", "consent_date", "witness")


@dataclass
class HandedOut:
    """What was done with a list: tokens issued now, those whose holder had them already, lines that name nobody;
    registered: people who were not known before.
    """

    issued: int = 0
    before: int = 0
    nobody: int = 0
    registered: int = 0


def hand_out(session: Session, path: Path, lines: Sequence[IssueLine], now_s: int) -> HandedOut:
    """Put all tokens of a list into somebody's hands, or, when one must not go there, none: raises FormatError with its
    line. A list may be repeated, longer: who has theirs already is left alone, and so are lines that name nobody.
    """
    done = HandedOut()
    seen: dict[int, int] = {}
    problems: list[tuple[int, str]] = []
    for line in lines:
        try:
            token = tokens.by_known_label(session, line.label)
            if seen.setdefault(token.id, line.number) != line.number:
                raise RegistryError(f"this token is in line {seen[token.id]} already")
            _hand_out_line(session, token, line, now_s, done)
        except (RegistryError, PersonError) as error:
            problems.append((line.number, str(error)))
    if problems:
        number, problem = problems[0]
        others = ", ".join(str(other) for other, _ in problems[1:])
        raise FormatError(path, number, problem + (f"; also wrong: line {others}" if others else ""))
    return done


def _hand_out_line(session: Session, token: Token, line: IssueLine, now_s: int, done: HandedOut) -> None:
    if not line.holder:
        done.nobody += 1
        return
    holder = _holder(session, line, now_s, done)
    has_it = issues.open_of(session, token)
    if has_it is not None and holder.has(has_it) and token.state == tokens.STATE_ACTIVE:
        done.before += 1
        return
    token_life.issue(session, token, holder, now_s)
    done.issued += 1


def _holder(session: Session, line: IssueLine, now_s: int, done: HandedOut) -> Holder:
    if line.kind == issues.SITE:
        return Holder.of_site(sites.by_reference(session, line.holder))
    given = _given(line)
    person = _known(session, line)
    if person is None:
        person = person_desk.register(session, _facts(line), line.facts["commune"], given, now_s)
        done.registered += 1
    elif given is not None and consents.open_of(session, person.id) is None:
        consents.add(session, person, given, now_s)
    return Holder.of_person(person)


def _known(session: Session, line: IssueLine) -> Person | None:
    """Who is meant; None for somebody new, of whom the line says enough. Raises PersonError."""
    if persons.looks_like_number(line.holder) or not {"birth_year", "commune"} <= line.facts.keys():
        return persons.by_reference(session, line.holder)
    commune = communes.by_known_name(session, line.facts["commune"])
    found = persons.same_as(session, line.holder, _year(line), commune.id)
    if len(found) > 1 or any(person.birth_year is None or person.commune_id is None for person in found):
        raise PersonError(
            f"this may be {persons.numbers_of(found)}: nothing was changed; write the number of the right one, or "
            "register them with `bztoken person add --another` first"
        )
    return found[0] if found else None


def _facts(line: IssueLine) -> Facts:
    told = line.facts
    if told.get("phone_of", persons.PHONE_OF_PERSON) not in persons.PHONE_OF:
        raise PersonError(f"phone_of is {' or '.join(persons.PHONE_OF)}: nothing was changed")
    return Facts(
        name=line.holder,
        birth_year=_year(line),
        phone=told.get("phone"),
        phone_of=told.get("phone_of"),
        carer=told.get("carer"),
        agency=told.get("agency"),
    )


def _year(line: IssueLine) -> int:
    typed = line.facts["birth_year"]
    if not (len(typed) == 4 and typed.isascii() and typed.isdecimal()):
        raise PersonError("a year of birth has four digits: nothing was changed")
    return int(typed)


def _given(line: IssueLine) -> Given | None:
    told = line.facts
    missing = [name for name in _CONSENT if name not in told]
    if len(missing) == len(_CONSENT):
        return None
    if missing:
        raise PersonError(f"a consent needs {', '.join(_CONSENT)}: this line has no {' and no '.join(missing)}")
    return Given(told["consent"], told["consent_date"], told["witness"], told.get("language", "vi"))
