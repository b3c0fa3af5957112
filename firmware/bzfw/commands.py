"""The token group of SMP: what each command does. Fields and errors: SPEC.md "Commands"."""

import sys

from micropython import const

from bzwire import keys, messages
from bzwire.bluezone import day_of
from bzwire.errors import (
    RC_ALREADY_PROVISIONED,
    RC_BAD_CURSOR,
    RC_BAD_REQUEST,
    RC_EXPIRED,
    RC_NOT_ALLOWED,
    RC_NOT_CONSENTED,
    RC_NOT_PROVISIONED,
    RC_STORAGE,
    WireError,
)
from bzwire.messages import RELEASE_GRANTED, SCHEME_GAEN, SELF_TEST_RUNNING, field_bytes, field_int

from . import VERSION
from .files import DEVELOPMENT_PATH, exists
from .identity import Identity, LogKey
from .session import Refusal
from .settings import FIELDS as SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .device import Device

    Fields = dict[str, Any]


_TEK_BYTES = const(16)  # GAEN takes so much of a day key


class Commands:
    """`run` serves one request of the token group and returns the map of the answer. Raises Refusal.

    Each command takes the fields of its request and gives those of its answer.
    """

    def __init__(self, token: "Device") -> None:
        self._token = token
        self._session = token.session

    def run(self, command: int, fields: "Fields") -> "Fields":
        """Fields of the answer: plain for a public command, an envelope for a sealed one."""
        try:
            if command > messages.CMD_UPDATE_FINISH:
                raise Refusal(RC_BAD_REQUEST)
            if command <= messages.CMD_AUTHENTICATE:
                return _HANDLERS[command](self, fields)
            counter, inner = self._session.open_request(command, fields)
            if self._session.courier and command not in messages.COURIER_COMMANDS:
                raise Refusal(RC_NOT_ALLOWED)
            return self._session.seal_response(command, counter, self._serve(command, inner))
        except WireError:
            raise Refusal(RC_BAD_REQUEST)
        except OSError:
            raise Refusal(RC_STORAGE)

    def _serve(self, command: int, fields: "Fields") -> "Fields":
        if command < messages.CMD_LOCATE:
            return _HANDLERS[command](self, fields)
        from . import care  # at a clinic's desk only

        return care.run(self._token, command, fields)

    def _auth_key(self) -> bytes:
        if self._token.identity is None:
            raise Refusal(RC_NOT_PROVISIONED)
        return self._token.identity.auth_key

    # -- public: nothing here says who the token is -----------------------------------------------------------------
    def _info(self, fields: "Fields") -> "Fields":
        found: "Fields" = {
            "p": messages.PROTOCOL_VERSION,
            "fw": VERSION,
            "b": self._token.hal.board,
            "pr": self._token.identity is not None,
            "ck": self._token.clock.state,
            "sm": self._token.alive.safe_mode,
            "rb": messages.MAX_READ_BYTES,
            "mp": getattr(sys.implementation, "_mpy", 0),
        }
        if self._token.identity is None:
            found["hw"] = self._token.hal.hardware_id()
        if self._token.erasing:
            found["er"] = True
        if exists(DEVELOPMENT_PATH):
            found["dv"] = True
        return found

    def _provision(self, fields: "Fields") -> "Fields":
        if self._token.identity is not None:
            raise Refusal(RC_ALREADY_PROVISIONED)
        role = fields.get("r")
        if role not in ("person", "site"):
            raise Refusal(RC_BAD_REQUEST)
        identity = Identity(
            field_bytes(fields, "u", keys.UID_BYTES), field_bytes(fields, "k", keys.KEY_BYTES), str(role)
        )
        log_key = LogKey(0, 0, field_bytes(fields, "l", keys.KEY_BYTES))
        self._token.provision(identity, log_key)
        return {}

    def _hello(self, fields: "Fields") -> "Fields":
        self._token.consent.withdraw()
        auth_key, nonce = self._auth_key(), field_bytes(fields, "nh", keys.NONCE_BYTES)
        courier = "ci" in fields or "cd" in fields
        if courier:
            auth_key = self._courier_key(auth_key, fields)
        return self._session.hello(auth_key, nonce, courier)

    def _courier_key(self, auth_key: bytes, fields: "Fields") -> bytes:
        """Number and last day are part of the key: who says others than those of its pass cannot use it."""
        last_day = field_int(fields, "cd", 0, messages.MAX_COUNTER)
        clock = self._token.clock
        if clock.is_set() and day_of(clock.now_s()) > last_day:
            raise Refusal(RC_EXPIRED)
        return keys.courier_key(auth_key, field_bytes(fields, "ci", messages.COURIER_ID_BYTES), last_day)

    def _authenticate(self, fields: "Fields") -> "Fields":
        self._auth_key()  # refuses on a blank token
        self._session.authenticate(field_bytes(fields, "m", keys.MAC_BYTES))
        return {}

    # -- sealed -------------------------------------------------------------------------------------------------------
    def _status(self, fields: "Fields") -> "Fields":
        found = self._token.status()
        if self._session.courier:
            del found["hw"]
        return found

    def _read(self, fields: "Fields") -> "Fields":
        sequence = field_int(fields, "s", 0, messages.MAX_COUNTER)
        offset = field_int(fields, "o", 0, 0xFFFF)
        count = field_int(fields, "n", 1, messages.MAX_READ_BYTES)
        found = self._token.log.read(sequence, offset, count)
        if found is None:
            return {"s": self._token.log.next_sequence, "o": 0, "d": b""}
        if not found[1]:
            raise Refusal(RC_BAD_CURSOR)
        return {"s": found[0], "o": offset if found[0] == sequence else 0, "d": found[1]}

    def _acknowledge(self, fields: "Fields") -> "Fields":
        self._token.log.acknowledge(field_int(fields, "s", 0, messages.MAX_COUNTER))
        return {"a": self._token.log.acknowledged}

    def _set_clock(self, fields: "Fields") -> "Fields":
        if self._session.courier and self._token.clock.is_set():
            raise Refusal(RC_NOT_ALLOWED)
        unix_ms = field_int(fields, "t", messages.EARLIEST_UNIX_MS, messages.LATEST_UNIX_MS)
        before_ms = self._token.clock.now_ms()
        state = self._token.clock.state
        self._token.set_clock(unix_ms)
        return {"b": before_ms, "ck": state}

    def _ask_release(self, fields: "Fields") -> "Fields":
        first = field_int(fields, "f", 0, 1 << 20)
        last = field_int(fields, "t", first, 1 << 20)
        # Today's key still makes IDs until midnight: the host bounds its entry in time, and must not publish it before.
        self._token.consent.ask(self._session.key, first, min(last, day_of(self._token.clock.now_s())))
        return {}

    def _read_release(self, fields: "Fields") -> "Fields":
        consent = self._token.consent
        state = consent.state(self._session.key)
        if state != RELEASE_GRANTED:
            return {"st": state}
        if self._token.day_keys is None:
            raise Refusal(RC_NOT_CONSENTED)
        found = self._token.day_keys.between(consent.first_day, consent.last_day)
        scheme = "bluezone"
        if self._token.settings.scheme == SCHEME_GAEN:
            scheme = "gaen"
            found = [(day, key[:_TEK_BYTES]) for day, key in found]
        return {"st": state, "k": found, "tx": self._token.hal.tx_power_dbm, "sc": scheme}

    def _settings(self, fields: "Fields") -> "Fields":
        """Take those that are named, all or none; the answer is how they stand now."""
        if not all(name in SETTINGS for name in fields):
            raise Refusal(RC_BAD_REQUEST)
        wanted = {name: field_int(fields, name, SETTINGS[name][1], SETTINGS[name][2]) for name in fields}
        self._token.change_settings(wanted)
        return self._token.settings.fields()

    def _self_test(self, fields: "Fields") -> "Fields":
        if self._token.self_test["st"] != SELF_TEST_RUNNING:
            self._token.begin_self_test()
        return {}

    def _read_self_test(self, fields: "Fields") -> "Fields":
        return self._token.self_test


# In the order of their numbers, the public ones first. Functions, because a table of bound methods takes 1 KiB.
_HANDLERS: "tuple[Callable[[Commands, Fields], Fields], ...]" = (
    Commands._info,
    Commands._provision,
    Commands._hello,
    Commands._authenticate,
    Commands._status,
    Commands._read,
    Commands._acknowledge,
    Commands._set_clock,
    Commands._ask_release,
    Commands._read_release,
    Commands._settings,
    Commands._self_test,
    Commands._read_self_test,
)
