"""Certificates of a withdrawal or an erasure: what was done, when, by whom; tied to an entry of the audit.

The entry holds the digest of the certificate, the certificate the entry's: a word changed in either shows. It names
nobody but by a number, so that it may be filed after the person is forgotten.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from bztoken.errors import FormatError
from bztoken.registry import audit, events, permissions, persons
from bztoken.registry.audit import Action, What
from bztoken.registry.models import AuditEntry

FORMAT = "bztoken certificate 1"
# As in retention.toml.
LAW = "Law 91/2025/QH15 and Decree 356/2025 (Viet Nam): withdrawal and erasure within 15 days"
_DETAIL = "{rows} rows; certificate {digest}"
_DONE_VI = {Action.WITHDRAW: "Đã rút lại sự đồng ý", Action.ERASE: "Đã xóa toàn bộ dữ liệu cá nhân"}
_DONE_EN = {Action.WITHDRAW: "Consent was withdrawn", Action.ERASE: "All personal data were erased"}
_MOST_BYTES = 100_000


@dataclass(frozen=True)
class Certificate:
    """said: everything but the entry; entry, entry_digest: of the audit."""

    said: Mapping[str, Any]
    entry: int
    entry_digest: bytes = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """As it is written into the file."""
        return {**self.said, "audit": {"entry": self.entry, "digest": self.entry_digest.hex()}}

    @property
    def page(self) -> str:
        """The same to be read by people, in Vietnamese and English."""
        return _page(self.document)


@dataclass(frozen=True)
class Checked:
    """problem: None when the certificate belongs to this registry, unchanged."""

    entry: int
    problem: str | None


def issue(session: Session, action: Action, person_id: int, rows: Mapping[str, int], now_s: int) -> Certificate:
    """Tell the audit what was done, and answer what can be handed out about it, in the caller's transaction."""
    gone = {name: rows[name] for name in sorted(rows) if rows[name]}
    said = {
        "format": FORMAT,
        "done": action.value,
        "person": persons.number_of(person_id),
        "at": datetime.fromtimestamp(now_s, UTC).isoformat(),
        "by": events.by_now(),
        "role": permissions.role_now(session),
        "rows": gone,
        "law": LAW,
    }
    total = sum(gone.values())
    detail = _DETAIL.format(rows=total, digest=_digest(said))
    entry = audit.record(session, action, What.PERSON, now_s, person_id, detail)
    return Certificate(said, entry.id, entry.digest)


def check(session: Session, path: Path) -> Checked:
    """Hold a certificate against the audit. Raises FormatError for a file that is none, or OSError."""
    document = _read(path)
    said = {name: value for name, value in document.items() if name != "audit"}
    number, digest = document["audit"]["entry"], document["audit"]["digest"]
    entry = session.get(AuditEntry, number)
    if entry is None or entry.digest.hex() != digest:
        return Checked(number, "it is of another registry, or the audit was changed: its entry is not in this one")
    if entry.detail is None or not entry.detail.endswith(_digest(said)):
        return Checked(number, "it was changed after it was made: the audit knows it with other words")
    return Checked(number, None)


def _digest(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    try:
        document = json.loads(raw)
        if len(raw) > _MOST_BYTES or document["format"] != FORMAT:
            raise ValueError
        if type(document["audit"]["entry"]) is not int or not isinstance(document["audit"]["digest"], str):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(path, None, "this is no certificate of bztoken: take the JSON file that was made") from error
    if not 0 < document["audit"]["entry"] < 1 << 62:
        raise FormatError(path, None, "this is no certificate of bztoken: its entry of the audit cannot be")
    found: dict[str, Any] = document
    return found


def _page(document: Mapping[str, Any]) -> str:
    action = Action(document["done"])
    rows = [f"  {count:>9,}  {name}" for name, count in document["rows"].items()] or ["          0"]
    return "\n".join(
        [
            "GIẤY XÁC NHẬN / CERTIFICATE",
            "",
            f"{_DONE_VI[action]}: {document['person']}",
            f"{_DONE_EN[action]}: {document['person']}",
            "",
            f"Thời điểm / When: {document['at']}",
            f"Người thực hiện / Who: {document['by']} ({document['role']})",
            f"Căn cứ / Law: {document['law']}",
            "",
            "Số dòng dữ liệu đã xóa, theo bảng / Rows deleted, by table:",
            *rows,
            "",
            "Nhật ký ghi lại ở mục số / The audit has it under entry",
            f"  {document['audit']['entry']}",
            f"  {document['audit']['digest']}",
            "Kiểm tra / Check: bztoken audit verify --certificate FILE",
            "",
            "Mã ngẫu nhiên mà thẻ từng phát có thể còn trong nhật ký của người khác; khóa đã xóa nên không ai biết",
            "là của ai. / IDs that the token had on the air may be in other people's logs: random bytes that nobody",
            "can tell apart once the keys are gone. The number above stays in the audit, which names nobody.",
            "",
        ]
    )
