"""The token group's commands as smpclient requests. Numbers and fields: firmware/SPEC.md "Commands"."""

from enum import IntEnum

from pydantic import ConfigDict
from smp.error import ErrorV1, ErrorV2
from smp.message import WriteRequest, WriteResponse

from bzwire import errors, messages
from bzwire.smp import GROUP_TOKEN


class TokenRefusal(IntEnum):
    """bzwire.errors RC_* as smpclient wants them."""

    NOT_PROVISIONED = errors.RC_NOT_PROVISIONED
    ALREADY_PROVISIONED = errors.RC_ALREADY_PROVISIONED
    NOT_AUTHENTICATED = errors.RC_NOT_AUTHENTICATED
    BAD_MAC = errors.RC_BAD_MAC
    REPLAY = errors.RC_REPLAY
    BAD_REQUEST = errors.RC_BAD_REQUEST
    BAD_CURSOR = errors.RC_BAD_CURSOR
    NOT_CONSENTED = errors.RC_NOT_CONSENTED
    STORAGE = errors.RC_STORAGE
    EXPIRED = errors.RC_EXPIRED
    NOT_ALLOWED = errors.RC_NOT_ALLOWED
    OLDER = errors.RC_OLDER
    BAD_ARCHIVE = errors.RC_BAD_ARCHIVE
    WRONG_BUILD = errors.RC_WRONG_BUILD


class TokenErrorV1(ErrorV1):
    """A standard refusal: rc of the SMP specification."""

    _GROUP_ID = GROUP_TOKEN


class TokenErrorV2(ErrorV2[TokenRefusal]):
    """A refusal of the token group."""

    _GROUP_ID = GROUP_TOKEN


class TokenRequest(WriteRequest):
    """Base of the commands: all are writes, so that no cache or bridge answers in the token's place."""

    _GROUP_ID = GROUP_TOKEN
    _ErrorV1 = TokenErrorV1
    _ErrorV2 = TokenErrorV2


class EmptyResponse(WriteResponse):
    """Done."""

    _GROUP_ID = GROUP_TOKEN


class InfoResponse(WriteResponse):
    """What anybody may know: protocol, firmware, board, provisioned or not, clock state, safe mode (since 0.2), most
    bytes of a READ, the interpreter's build, whether it still writes over its flash after a wipe (since 0.3), whether
    it is a developer's board, and of a blank one the chip's number (since 0.4).

    Fields of a newer token are passed over: that it is newer is told by `p`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    _GROUP_ID = GROUP_TOKEN
    p: int
    fw: str
    b: str
    pr: bool
    ck: int
    sm: bool = False
    rb: int = messages.OLD_MAX_READ_BYTES
    mp: int | None = None
    er: bool = False
    dv: bool = False
    hw: bytes = b""


class Info(TokenRequest):
    """Public information."""

    _COMMAND_ID = messages.CMD_INFO
    _Response = InfoResponse


class Provision(TokenRequest):
    """Number and keys for a blank token."""

    _COMMAND_ID = messages.CMD_PROVISION
    _Response = EmptyResponse
    u: bytes
    k: bytes
    l: bytes  # noqa: E741 - the name on the wire
    r: str


class HelloResponse(WriteResponse):
    """The token's nonce and proof."""

    _GROUP_ID = GROUP_TOKEN
    nt: bytes
    m: bytes


class Hello(TokenRequest):
    """The host's nonce: begins a session."""

    _COMMAND_ID = messages.CMD_HELLO
    _Response = HelloResponse
    nh: bytes


class CourierHello(Hello):
    """The same from a courier: its number and the last UTC day of its pass."""

    ci: bytes
    cd: int


class Authenticate(TokenRequest):
    """The host's proof."""

    _COMMAND_ID = messages.CMD_AUTHENTICATE
    _Response = EmptyResponse
    m: bytes


class SealedResponse(WriteResponse):
    """An envelope: counter, CBOR bytes, MAC."""

    _GROUP_ID = GROUP_TOKEN
    c: int
    b: bytes
    m: bytes


class SealedRequest(TokenRequest):
    """Base of the commands of a session."""

    _Response = SealedResponse
    c: int
    b: bytes
    m: bytes


class Status(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_STATUS


class Read(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_READ


class Acknowledge(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_ACKNOWLEDGE


class SetClock(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_SET_CLOCK


class AskRelease(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_ASK_RELEASE


class ReadRelease(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_READ_RELEASE


class ChangeSettings(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_SETTINGS


class SelfTest(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_SELF_TEST


class ReadSelfTest(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_READ_SELF_TEST


class Locate(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_LOCATE


class Wipe(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_WIPE


class UpdateBegin(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_UPDATE_BEGIN


class UpdateWrite(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_UPDATE_WRITE


class UpdateFinish(SealedRequest):
    """See SPEC.md."""

    _COMMAND_ID = messages.CMD_UPDATE_FINISH


SEALED: dict[int, type[SealedRequest]] = {
    messages.CMD_STATUS: Status,
    messages.CMD_READ: Read,
    messages.CMD_ACKNOWLEDGE: Acknowledge,
    messages.CMD_SET_CLOCK: SetClock,
    messages.CMD_ASK_RELEASE: AskRelease,
    messages.CMD_READ_RELEASE: ReadRelease,
    messages.CMD_SETTINGS: ChangeSettings,
    messages.CMD_SELF_TEST: SelfTest,
    messages.CMD_READ_SELF_TEST: ReadSelfTest,
    messages.CMD_LOCATE: Locate,
    messages.CMD_WIPE: Wipe,
    messages.CMD_UPDATE_BEGIN: UpdateBegin,
    messages.CMD_UPDATE_WRITE: UpdateWrite,
    messages.CMD_UPDATE_FINISH: UpdateFinish,
}

# Commands that firmware 0.1 or 0.2 does not have: it refuses them as a bad request.
LATER = frozenset(number for number in SEALED if number >= messages.CMD_SETTINGS)
