"""The messages of a diagnosis-key export, for the protobuf library: a table of fields, so that no code is generated.

Names and numbers: google/exposure-notifications-server, internal/pb/export/export.proto (proto2). Report types are read
as numbers, since proto2 drops values that it does not know. `fields` finds the place of damage, which the library does
not tell, and counts before anything is taken into memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from bztoken.errors import FormatError

PACKAGE = "bztoken.gaen"
KEYS, REVISED_KEYS, SIGNATURE_INFOS = 7, 8, 6  # fields of an export
SIGNATURES = 1  # field of a list of signatures
DEFAULT_ROLLING_PERIOD = 144

_Kind = descriptor_pb2.FieldDescriptorProto
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # protobuf.dev, "Encoding"; groups (3, 4) are in no export
_FIXED_BYTES = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_MAX_VARINT_BYTES = 10


class _Field(NamedTuple):
    """kind: a type of protobuf, or the name of a message."""

    name: str
    number: int
    kind: Any
    is_repeated: bool = False


_TABLE = {
    "SignatureInfo": (
        _Field("verification_key_version", 3, _Kind.TYPE_STRING),
        _Field("verification_key_id", 4, _Kind.TYPE_STRING),
        _Field("signature_algorithm", 5, _Kind.TYPE_STRING),
    ),
    "TemporaryExposureKey": (
        _Field("key_data", 1, _Kind.TYPE_BYTES),
        _Field("transmission_risk_level", 2, _Kind.TYPE_INT32),
        _Field("rolling_start_interval_number", 3, _Kind.TYPE_INT32),
        _Field("rolling_period", 4, _Kind.TYPE_INT32),
        _Field("report_type", 5, _Kind.TYPE_INT32),
        _Field("days_since_onset_of_symptoms", 6, _Kind.TYPE_SINT32),
    ),
    "TemporaryExposureKeyExport": (
        _Field("start_timestamp", 1, _Kind.TYPE_FIXED64),
        _Field("end_timestamp", 2, _Kind.TYPE_FIXED64),
        _Field("region", 3, _Kind.TYPE_STRING),
        _Field("batch_num", 4, _Kind.TYPE_INT32),
        _Field("batch_size", 5, _Kind.TYPE_INT32),
        _Field("signature_infos", SIGNATURE_INFOS, "SignatureInfo", is_repeated=True),
        _Field("keys", KEYS, "TemporaryExposureKey", is_repeated=True),
        _Field("revised_keys", REVISED_KEYS, "TemporaryExposureKey", is_repeated=True),
    ),
    "TEKSignature": (
        _Field("signature_info", 1, "SignatureInfo"),
        _Field("batch_num", 2, _Kind.TYPE_INT32),
        _Field("batch_size", 3, _Kind.TYPE_INT32),
        _Field("signature", 4, _Kind.TYPE_BYTES),
    ),
    "TEKSignatureList": (_Field("signatures", SIGNATURES, "TEKSignature", is_repeated=True),),
}


def _classes() -> dict[str, type[Any]]:
    file = descriptor_pb2.FileDescriptorProto(name="gaen_export.proto", package=PACKAGE, syntax="proto2")
    for name, rows in _TABLE.items():
        message = file.message_type.add(name=name)
        for row in rows:
            added = message.field.add(name=row.name, number=row.number)
            added.label = _Kind.LABEL_REPEATED if row.is_repeated else _Kind.LABEL_OPTIONAL
            if isinstance(row.kind, str):
                added.type, added.type_name = _Kind.TYPE_MESSAGE, f".{PACKAGE}.{row.kind}"
            else:
                added.type = row.kind
            if row.name == "rolling_period":
                added.default_value = str(DEFAULT_ROLLING_PERIOD)
    pool = descriptor_pool.DescriptorPool()  # our own: another library may bring messages of the same names
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _TABLE}


_CLASSES = _classes()
SignatureInfo = _CLASSES["SignatureInfo"]
Key = _CLASSES["TemporaryExposureKey"]
Export = _CLASSES["TemporaryExposureKeyExport"]
Signature = _CLASSES["TEKSignature"]
SignatureList = _CLASSES["TEKSignatureList"]


@dataclass(frozen=True)
class Member:
    """One of the two files of an export, in a zip or by itself; raw: all its bytes; start: where its message begins."""

    path: Path
    name: str
    raw: bytes = field(repr=False)
    start: int = 0

    def wrong(self, problem: str, byte: int | None = None, part: str = "") -> FormatError:
        """byte: from the start of the member, the first is 0; part: which key or signature."""
        place = [self.name, *([f"byte {byte}"] if byte is not None else []), *([part] if part else [])]
        return FormatError(self.path, None, f"{', '.join(place)}: {problem}")

    def parse(self, kind: type[Any]) -> Any:
        """The message. Raises FormatError with the place, as far as it can be told."""
        try:
            return kind.FromString(self.raw[self.start :])
        except DecodeError:
            for found in fields(self, self.start, len(self.raw)):
                if found.is_bytes:
                    list(fields(self, found.start, found.end))
            raise self.wrong("the message is damaged: fetch the file again") from None


class Found(NamedTuple):
    """One field of a message: its content is raw[start:end]."""

    number: int
    is_bytes: bool  # bytes, text or a message
    start: int
    end: int


def fields(member: Member, at: int, end: int) -> Iterator[Found]:
    """The fields of the message between two places of a member, not looking into them. Raises FormatError."""
    while at < end:
        tag, after = _varint(member, at, end)
        number, kind = tag >> 3, tag & 7
        if kind == _LENGTH:
            length, start = _varint(member, after, end)
        elif kind == _VARINT:
            start = after
            length = _varint(member, start, end)[1] - start
        else:
            length, start = _FIXED_BYTES.get(kind, -1), after
        if length < 0 or number == 0:
            raise member.wrong("here is no field of an export: the file is damaged, fetch it again", at)
        if start + length > end:
            raise member.wrong("the file is cut short or damaged: fetch it again", at)
        yield Found(number, kind == _LENGTH, start, start + length)
        at = start + length


def _varint(member: Member, at: int, end: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for place in range(at, min(at + _MAX_VARINT_BYTES, end)):
        value |= (member.raw[place] & 0x7F) << 7 * (place - at)
        if member.raw[place] < 0x80:
            return value, place + 1
    cut = at + _MAX_VARINT_BYTES > end
    raise member.wrong("the file is cut short: fetch it again" if cut else "the file is damaged: fetch it again", at)
