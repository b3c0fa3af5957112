"""The roll-out report as tables of cells: what stands where, the same in every format. Drawing is for others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from bztoken.calendar_days import VIETNAM
from bztoken.people.retention_rules import rules
from bztoken.registry.sites import KIND_NAMES, Kind
from bztoken.report.rollout import Rollout
from bztoken.report.rollout_cases import Contacts, Speed
from bztoken.report.rollout_figures import Unit, total_of
from bztoken.report.rollout_scope import ACTIVE_DAYS
from bztoken.report.rollout_words import Language, Words

Cell = str | int | float | None  # None: not known


class Form(StrEnum):
    """How a value is written."""

    TEXT = "text"
    COUNT = "count"
    SHARE = "share"  # 0.5 is 50 %
    HOURS = "hours"


class Column(NamedTuple):
    """key: as in --json; heading, meaning: in the report's language."""

    key: str
    heading: str
    meaning: str
    form: Form


@dataclass(frozen=True)
class Table:
    """Units below each other. rows: the first cell is the unit's name; total: as a row."""

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    total: Sequence[Cell]


class Fact(NamedTuple):
    """One figure of the whole registry; value: a text where there is no number to tell."""

    key: str
    label: str
    value: Cell
    form: Form


@dataclass(frozen=True)
class Tables:
    """The report. lines: what stands below the title; notes: what a reader must know."""

    words: Words
    lines: Sequence[str]
    notes: Sequence[str]
    summary: Sequence[Fact]
    cases: Sequence[Fact]
    units: Sequence[Table]
    states: Sequence[tuple[str, int]]

    @property
    def title(self) -> str:
        """Of the report."""
        return self.words.text["title"]

    @property
    def coverage(self) -> list[tuple[str, float]]:
        """(commune, share) where it is known, by name."""
        table = self.units[0]
        at = [column.key for column in table.columns].index("coverage")
        shares = ((str(row[0]), row[at]) for row in table.rows)
        return [(name, share) for name, share in shares if isinstance(share, float)]


_TOKENS = ("issued", "active", "synced", "silent", "lost", "weak")
_PEOPLE = ("holders_60", "over60", "coverage", "no_birth_year")
_COLUMNS = {
    "commune": (*_TOKENS, *_PEOPLE),
    "agency": ("sites", *_TOKENS, "holders_60", "no_birth_year"),
    "site_kind": ("sites", *_TOKENS),
}
_FORMS = {"coverage": Form.SHARE}
_CONTACTS = ("found", "reached", "open", "given_up", "withdrawn")
_HOURS = ("median_hours", "longest_hours")


def tables(report: Rollout, words: Words) -> Tables:
    """Everything in the words of one language."""
    kinds = [_named_kind(unit, words.language) for unit in report.site_kinds]
    by_unit = {"commune": report.communes, "agency": report.agencies, "site_kind": kinds}
    states = ("active", "silent", "lost")
    return Tables(
        words,
        _lines(report, words),
        _notes(report, words),
        _summary(report, words),
        _cases(report, words),
        [_table(key, units, words) for key, units in by_unit.items()],
        [(words.columns[state]["heading"], getattr(report.total, state)) for state in states],
    )


def written(cell: Cell, form: Form, words: Words) -> str:
    """A cell as people read it."""
    if cell is None:
        return words.text["unknown"]
    if isinstance(cell, str):
        return cell
    if form is Form.SHARE:
        return words.share(cell)
    return words.decimal(cell) if form is Form.HOURS else words.count(int(cell))


def _table(key: str, units: Sequence[Unit], words: Words) -> Table:
    columns = [_column(key, Form.TEXT, words)]
    columns += [_column(name, _FORMS.get(name, Form.COUNT), words) for name in _COLUMNS[key]]
    rows = [_row(unit.name or words.text["nowhere"], unit, columns) for unit in units]
    total = _row(words.text["total"], total_of(units), columns)
    return Table(key, words.tables[key], columns, rows, total)


def _column(key: str, form: Form, words: Words) -> Column:
    return Column(key, words.columns[key]["heading"], words.columns[key]["meaning"], form)


def _row(name: str, unit: Unit, columns: Sequence[Column]) -> list[Cell]:
    return [name, *(getattr(unit, column.key) for column in columns[1:])]


def _named_kind(unit: Unit, language: Language) -> Unit:
    name = None if unit.name is None else KIND_NAMES[Kind(unit.name)][language is Language.ENGLISH]
    return replace(unit, name=name)


def _lines(report: Rollout, words: Words) -> list[str]:
    scope, made = report.scope, datetime.fromtimestamp(report.made_at_s, VIETNAM)
    first = "" if scope.first is None else words.day(scope.first)
    period = words.text["period" if first else "period_open"].format(first=first, last=words.day(scope.last))
    return [
        words.text["as_of"].format(day=words.day(scope.day)),
        period,
        words.text["made"].format(time=made.strftime("%H:%M"), day=words.day(made.date())),
    ]


def _notes(report: Rollout, words: Words) -> list[str]:
    day = report.scope.day
    first = day - timedelta(days=ACTIVE_DAYS - 1)
    return [
        words.notes["names"],
        words.notes["week"].format(first=words.day(first), last=words.day(day)),
        words.notes["age"].format(year=report.scope.newest_birth_year),
        words.notes["cases"],
        words.notes["kept"].format(days=rules().case_days),
        *words.meanings.values(),
    ]


def _summary(report: Rollout, words: Words) -> list[Fact]:
    total, store, flows = report.total, report.stock, report.flows
    values: dict[str, Cell] = {
        **{key: getattr(total, key) for key in ("issued", "persons", "places", "active", "synced", "silent", "lost")},
        "weak": total.weak,
        "battery_unknown": total.battery_unknown,
        "ready": store.ready,
        "set_aside": store.set_aside,
        "lost_in_stock": store.lost,
        "handed_out": flows.handed_out,
        "returned": flows.returned,
        **{
            key: getattr(total, key)
            for key in ("holders_60", "no_birth_year", "known_communes", "covered_60", "over60", "coverage")
        },
    }
    return [Fact(key, words.facts[key], value, _FORMS.get(key, Form.COUNT)) for key, value in values.items()]


def _cases(report: Rollout, words: Words) -> list[Fact]:
    traced = report.tracing
    values: dict[str, Cell] = {
        "cases": traced.cases,
        "drafts": traced.drafts,
        "cases_withdrawn": traced.withdrawn,
        **_contacts("f1", traced.f1),
        **_contacts("f2", traced.f2),
        **{key: getattr(traced.speed, key) for key in ("all_reached", "still_open", "given_up", "none")},
        **_hours("f1_", traced.speed_f1, words),
        **_hours("", traced.speed, words),
    }
    return [
        Fact(key, words.facts[key], value, Form.HOURS if key.endswith("_hours") else Form.COUNT)
        for key, value in values.items()
    ]


def _contacts(degree: str, contacts: Contacts) -> dict[str, Cell]:
    return {f"{degree}_{key}": getattr(contacts, key) for key in _CONTACTS}


def _hours(prefix: str, speed: Speed, words: Words) -> dict[str, Cell]:
    """Where there is no number: why."""
    why = words.text["still_open" if speed.still_open else "nothing"]
    return {prefix + key: why if getattr(speed, key) is None else getattr(speed, key) for key in _HOURS}
