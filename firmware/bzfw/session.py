"""One authenticated cable connection: challenge, proofs, counters, and the MAC on every message after that."""

from bzwire import keys, messages
from bzwire.errors import RC_BAD_MAC, RC_BAD_REQUEST, RC_NOT_AUTHENTICATED, RC_REPLAY, BadChecksum, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .hal import Hal


class Refusal(Exception):
    """A request that the token will not serve. code: a RC_* number, or a MGMT_* number when `standard` is True."""

    def __init__(self, code: int, standard: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.standard = standard


class Session:
    """key is empty until the host has proven that it holds this token's key.

    courier: whether the one who said HELLO last is a courier's computer, which may do little (SPEC.md "Commands").
    """

    def __init__(self, hal: "Hal") -> None:
        self._hal = hal
        self._host_nonce = b""
        self._token_nonce = b""
        self._counter = 0
        self._auth_key = b""  # of the one who said HELLO
        self.key = b""
        self.courier = False
        self.refused_proofs = 0

    def hello(self, auth_key: bytes, host_nonce: bytes, courier: bool = False) -> "dict[str, Any]":
        """Begin anew: the token's nonce and its proof. It says nothing of who the token is."""
        self.end()
        self._auth_key = auth_key
        self.courier = courier
        self._host_nonce = host_nonce
        self._token_nonce = self._hal.random_bytes(keys.NONCE_BYTES)
        return {"nt": self._token_nonce, "m": keys.token_proof(auth_key, host_nonce, self._token_nonce)}

    def authenticate(self, proof: bytes) -> None:
        """Take the host's proof. Raises Refusal; a challenge serves once."""
        auth_key, host_nonce, token_nonce = self._auth_key, self._host_nonce, self._token_nonce
        self.end()
        if not token_nonce:
            raise Refusal(RC_NOT_AUTHENTICATED)
        if not keys.same(keys.host_proof(auth_key, host_nonce, token_nonce), proof):
            self.refused_proofs += 1
            raise Refusal(RC_BAD_MAC)
        self.key = keys.session_key(auth_key, host_nonce, token_nonce)
        self._counter = 0

    def end(self) -> None:
        """Nothing sealed is taken any more."""
        self.key = self._auth_key = b""
        self._host_nonce = b""
        self._token_nonce = b""

    def open_request(self, command: int, envelope: "dict[str, Any]") -> "tuple[int, dict[str, Any]]":
        """(counter, fields) of a sealed request. Raises Refusal."""
        if not self.key:
            raise Refusal(RC_NOT_AUTHENTICATED)
        try:
            counter, fields = messages.unseal(self.key, messages.REQUEST, command, envelope)
        except BadChecksum:
            raise Refusal(RC_BAD_MAC)
        except WireError:
            raise Refusal(RC_BAD_REQUEST)
        if counter <= self._counter:
            raise Refusal(RC_REPLAY)
        self._counter = counter
        return counter, fields

    def seal_response(self, command: int, counter: int, fields: "dict[str, Any]") -> "dict[str, Any]":
        """The envelope of the answer."""
        return messages.seal_in_pieces(self.key, messages.RESPONSE, command, counter, fields)
