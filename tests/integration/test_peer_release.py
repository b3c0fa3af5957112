"""Keys of contacts and of sites, from real tokens after their button: who may be asked for them, and what is kept."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import date

import pytest
from sqlalchemy import select
from tests.case_desk import TRACER, active_case, days_ago
from tests.integration.clinic import Attached, Clinic, attached

from bztoken.errors import CaseError, NotAllowed
from bztoken.matching.batch import run_batch
from bztoken.registry import cases, events, peer_keys, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.models import AuditEntry, Exposure, PeerKey, Token
from bztoken.sync import sync
from bztoken.tracing import case_keys, case_record
from bztoken.tracing.case_record import Report
from bztoken.tracing.case_release import days_of, last_days, release_keys, release_of_person
from bztoken.tracing.peer_release import PeerRelease, release
from bzwire import gaen, messages
from bzwire.bluezone import day_of

AN, BINH = "Bà An", "Ông Bình"
CASE = "F0-1"


def quiet(*_told: object) -> None:
    """Nobody watches the progress."""


@pytest.fixture
def there(clinic: Clinic) -> Iterator[Attached]:
    with attached(clinic.fleet) as found:
        yield found


def becomes_a_case(clinic: Clinic, there: Attached) -> None:
    """Bà An gave her keys, and the matching ran over what all had heard."""
    for port in there.ports.values():
        sync(clinic.home, port, quiet)
    now_s = int(time.time())
    released = release_keys(clinic.home, there.ports[AN], last_days(3, now_s), hold(there, AN))
    with open_registry(clinic.home) as registry:
        with registry.write() as session:
            active_case(session, CASE, cases.SOURCE_TOKEN, tokens.by_label(session, AN), released.keys, now_s)
        run_batch(registry, lambda: now_s)


def hold(there: Attached, label: str) -> Callable[[], None]:
    return lambda: there.order("press", label, hold_s=3.3)


def never() -> None:
    raise AssertionError("a token was asked")


def ask(clinic: Clinic, there: Attached, label: str, case: str | None, days: int | None = None) -> PeerRelease:
    with events.acting_as(TRACER):
        return release(clinic.home, there.ports[label], case, days, hold(there, label))


@pytest.mark.timeout(240)
def test_a_contact_gives_keys_for_its_case_only_and_they_are_here_once(clinic: Clinic, there: Attached) -> None:
    becomes_a_case(clinic, there)
    for label, case, said in (
        (BINH, None, "name the case with --case"),
        (BINH, "F0-2", "no case of this registry has this name"),
        (AN, CASE, "no F1 of that case"),
    ):
        with events.acting_as(TRACER), pytest.raises(CaseError, match=said):
            release(clinic.home, there.ports[label], case, None, never)
    with pytest.raises(NotAllowed, match="for a tracer"):
        release(clinic.home, there.ports[BINH], CASE, None, never)
    first = ask(clinic, there, BINH, CASE)
    assert (first.label, first.purpose, first.case, first.longer) == (BINH, peer_keys.PURPOSE_CONTACT, CASE, 0)
    assert first.added == first.keys >= 1
    with open_registry(clinic.home) as registry, registry.read() as session:
        met_s = min(session.scalars(select(Exposure.first_s).where(Exposure.verdict == "F1")))
        stored = session.scalars(select(PeerKey).order_by(PeerKey.time_start_s)).all()
        assert day_of(stored[0].time_start_s + 43_200) >= day_of(met_s)
        today_end_s = stored[-1].time_end_s
    for port in there.ports.values():  # and the button comes up again meanwhile
        sync(clinic.home, port, quiet)
    again = ask(clinic, there, BINH, CASE)
    assert (again.added, again.longer) == (0, 1)
    with open_registry(clinic.home) as registry, registry.read() as session:
        assert session.scalars(select(PeerKey.id)).all() == [row.id for row in stored]
        assert max(session.scalars(select(PeerKey.time_end_s))) > today_end_s
        told = session.scalars(select(AuditEntry).where(AuditEntry.action == "release")).all()
        assert [(entry.what, entry.by) for entry in told] == [("key", TRACER)] * 2


def test_a_sites_keys_are_for_visits_and_for_no_case(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    with open_registry(clinic.home) as registry, registry.write() as session:
        session.scalars(select(Token).where(Token.label == AN)).one().role = tokens.ROLE_SITE
    with attached(clinic.fleet) as there:
        with pytest.raises(CaseError, match="serve every case"):
            ask(clinic, there, AN, CASE)
        days = last_days(2, int(time.time()))
        with pytest.raises(CaseError, match="nobody wears"):
            release_of_person(clinic.home, there.ports[AN], days, never)
        done = release(clinic.home, there.ports[AN], None, 2, hold(there, AN))
    assert (done.purpose, done.case) == (peer_keys.PURPOSE_SITE, None)
    with open_registry(clinic.home) as registry, registry.read() as session:
        assert len(peer_keys.of_sites(session)) == done.added == done.keys
        assert peer_keys.of_contacts(session) == []
        assert [one.label for one in peer_keys.all_released(session)] == [AN]


def test_a_token_that_broadcasts_gaen_becomes_a_case_with_teks(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    report = Report(CASE, onset=date.fromisoformat(days_ago(1)))
    with attached(clinic.fleet) as there, events.acting_as(TRACER), open_registry(clinic.home) as registry:
        sync(clinic.home, there.ports[AN], quiet)
        change_scheme(clinic, there.ports[AN])
        now_s = int(time.time())
        found = case_record.prepare(registry, report, now_s)
        released = release_of_person(clinic.home, there.ports[AN], days_of(found, now_s), hold(there, AN))
        now_s = int(time.time())
        gathered = case_keys.of_token(released.keys, found, now_s)
        case_record.record(registry, report, gathered, now_s, released.token_id)
        with registry.read() as session:
            keys = cases.keys_of(session, cases.by_known_name(session, CASE))
    assert keys
    for key in keys:
        assert (key.scheme, len(key.key), key.slots_per_day) == ("gaen", gaen.KEY_BYTES, 144)
        assert key.time_start_s % 86_400 == 0 and key.uncertainty_s is not None
        assert (key.report_type, key.days_since_onset) == (1, key.time_start_s // 86_400 - day_of(now_s) + 1)


def change_scheme(clinic: Clinic, port: str) -> None:
    asyncio.run(clinic.command(port, messages.CMD_SETTINGS, s=1))
