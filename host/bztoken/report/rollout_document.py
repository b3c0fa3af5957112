"""The roll-out report as one JSON document: the same keys in every language, nothing is rounded; null: not known."""

from dataclasses import asdict

from bztoken.report.rollout import Rollout
from bztoken.report.rollout_figures import Unit


def document(report: Rollout) -> dict[str, object]:
    """Of the whole report."""
    scope = report.scope
    return {
        "day": scope.day.isoformat(),
        "from": None if scope.first is None else scope.first.isoformat(),
        "to": scope.last.isoformat(),
        "made_at_s": report.made_at_s,
        "total": _unit(report.total),
        "stock": asdict(report.stock),
        "flows": asdict(report.flows),
        "communes": [_unit(unit) for unit in report.communes],
        "agencies": [_unit(unit) for unit in report.agencies],
        "site_kinds": [_unit(unit) for unit in report.site_kinds],
        "tracing": asdict(report.tracing),
    }


def _unit(unit: Unit) -> dict[str, object]:
    """over60, coverage: null where no figure is known, as of agencies and kinds of sites."""
    return asdict(unit) | {"coverage": unit.coverage}
