"""Keys: our HMAC is the standard one, the ratchet is bounded and one-way, no two purposes share a key."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bzwire import keys, registry_keys
from bzwire.errors import OutOfRange

KEYS = st.binary(min_size=32, max_size=32)
NONCES = st.binary(min_size=16, max_size=16)


@given(st.binary(max_size=200), st.lists(st.binary(max_size=200), max_size=4))
def test_hmac_is_the_one_of_the_standard_library(key: bytes, parts: list[bytes]) -> None:
    assert keys.hmac_sha256(key, *parts) == hmac.new(key, b"".join(parts), "sha256").digest()


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 128])
def test_hmac_holds_around_the_block_length(length: int) -> None:
    key = bytes(range(length))
    assert keys.hmac_sha256(key, b"x") == hmac.new(key, b"x", "sha256").digest()


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_same_says_what_equality_says(a: bytes, b: bytes) -> None:
    assert keys.same(a, b) == (a == b)
    assert keys.same(a, bytes(a))


def test_same_notices_every_single_flipped_bit() -> None:
    secret = bytes(range(16))
    for bit in range(128):
        other = bytearray(secret)
        other[bit // 8] ^= 1 << bit % 8
        assert not keys.same(secret, bytes(other))


@given(KEYS, st.integers(0, 40), st.integers(0, 40))
def test_the_ratchet_may_be_turned_in_any_portions(log_key: bytes, a: int, b: int) -> None:
    assert keys.next_log_key(keys.next_log_key(log_key, a), b) == keys.next_log_key(log_key, a + b)


def test_one_ratchet_step_is_one_sha256() -> None:
    assert keys.next_log_key(bytes(32)) == hashlib.sha256(bytes(32)).digest()
    assert keys.next_log_key(bytes(32), 0) == bytes(32)


@pytest.mark.parametrize("steps", [-1, keys.MAX_RATCHET_STEPS + 1, 2**32 - 1])
def test_ratchet_steps_out_of_bounds_are_refused(steps: int) -> None:
    with pytest.raises(OutOfRange):
        keys.next_log_key(bytes(32), steps)


def test_the_longest_ratchet_is_accepted() -> None:
    assert len(keys.next_log_key(bytes(32), keys.MAX_RATCHET_STEPS)) == 32


@given(KEYS, NONCES, NONCES)
def test_a_proof_of_one_side_never_serves_the_other(auth: bytes, host_nonce: bytes, token_nonce: bytes) -> None:
    token, host = (proof(auth, host_nonce, token_nonce) for proof in (keys.token_proof, keys.host_proof))
    session = keys.session_key(auth, host_nonce, token_nonce)
    assert len({token, host, session[:16]}) == 3
    assert len(token) == len(host) == keys.MAC_BYTES


def test_proofs_depend_on_both_nonces_and_their_order() -> None:
    one, two = bytes(16), bytes([1] * 16)
    pairs = [(one, one), (one, two), (two, one), (two, two)]
    assert len({keys.token_proof(bytes(32), *pair) for pair in pairs}) == 4
    assert len({keys.session_key(bytes(32), *pair) for pair in pairs}) == 4


@given(KEYS)
def test_no_two_purposes_share_a_key(root: bytes) -> None:
    log_key = registry_keys.first_log_key(root)
    cipher_key, tag_key = keys.page_keys(log_key)
    assert len({root, registry_keys.auth_key(root), log_key, keys.next_log_key(log_key), tag_key}) == 5
    assert len(cipher_key) == 16
    assert cipher_key not in (root[:16], log_key[:16], tag_key[:16])


def test_tokens_have_different_roots() -> None:
    assert len({registry_keys.token_root(bytes(32), uid.to_bytes(8, "big")) for uid in range(100)}) == 100


@pytest.mark.parametrize(("master", "uid"), [(31, 8), (33, 8), (32, 7), (32, 9)])
def test_a_master_key_or_token_number_of_another_length_is_refused(master: int, uid: int) -> None:
    with pytest.raises(OutOfRange):
        registry_keys.token_root(bytes(master), bytes(uid))


@given(KEYS, st.binary(max_size=30))
def test_message_macs_depend_on_every_input(session: bytes, body: bytes) -> None:
    inputs = [(b"Q", 5, 1), (b"R", 5, 1), (b"Q", 6, 1), (b"Q", 5, 2), (b"Q", 5, 257)]
    macs = {keys.message_mac(session, *given_input, body) for given_input in inputs}
    assert len(macs | {keys.message_mac(session, b"Q", 5, 1, body + b"\0")}) == len(inputs) + 1


@pytest.mark.parametrize(("command", "counter"), [(-1, 0), (256, 0), (0, -1), (0, 2**32)])
def test_a_command_or_counter_that_does_not_fit_is_not_cut(command: int, counter: int) -> None:
    with pytest.raises(OutOfRange):
        keys.message_mac(bytes(32), b"Q", command, counter, b"")
