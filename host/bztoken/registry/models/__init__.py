"""Tables of the registry. The migrations say the same once more by hand; a test holds both against each other.

Times are unix seconds unless a name says otherwise. BigInteger where a value may pass 2^31 on another database.
"""

from bztoken.registry.models.audit import AuditEntry
from bztoken.registry.models.base import Base
from bztoken.registry.models.logs import ClockPoint, Log, Page, Sighting, Sync
from bztoken.registry.models.people import Commune, Consent, Operator, Person, Setting, Site
from bztoken.registry.models.tokens import (
    Courier,
    Device,
    DeviceEvent,
    ProvisionBatch,
    Token,
    TokenEvent,
    TokenIssue,
)
from bztoken.registry.models.tracing import (
    Authorisation,
    Batch,
    Case,
    CaseId,
    CaseKey,
    Exposure,
    FollowUp,
    FollowUpEvent,
    MatchedDay,
    PeerKey,
    Visit,
)

__all__ = [
    "AuditEntry",
    "Authorisation",
    "Base",
    "Batch",
    "Case",
    "CaseId",
    "CaseKey",
    "ClockPoint",
    "Commune",
    "Consent",
    "Courier",
    "Device",
    "DeviceEvent",
    "Exposure",
    "FollowUp",
    "FollowUpEvent",
    "Log",
    "MatchedDay",
    "Operator",
    "Page",
    "PeerKey",
    "Person",
    "ProvisionBatch",
    "Setting",
    "Sighting",
    "Site",
    "Sync",
    "Token",
    "TokenEvent",
    "TokenIssue",
    "Visit",
]
