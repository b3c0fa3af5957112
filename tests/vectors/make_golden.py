"""Writes the golden files of our own formats: page_v2.json and smp_v1.json. (page_v1.json: version 0.1 wrote it.)

Run once per format version: `python tests/vectors/make_golden.py`. A golden file is kept for ever; it refuses to
overwrite one, because a changed byte means a new version and a new file.
"""

import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bzwire import cbor, keys, messages, page, registry_keys, smp

FOLDER = Path(__file__).parent
MASTER = bytes(range(32))
UID = bytes.fromhex("b2c0ffee00000001")
SAVING_SITE = page.STATE_SAVING | page.STATE_SITE
EVERY_STATE = page.STATE_WINDOWED | page.STATE_CLOCK_REPAIRED | SAVING_SITE
HEADERS = (
    # sequence, boot_id, uptime_ms, window_start_s, window_s, scan_period_s, clock_state, log_key_number, lost, crowded
    # and, by name, what is new in version 2
    ((0, 1, 0, 0, 300, 60, page.CLOCK_UNSET, 0, 0, False), {}),
    (
        (7, 0x01020304, 1_073_741_823, 1_596_844_800, 300, 60, page.CLOCK_RTC, 3, 12, False),
        {"listened_ds": 200, "state": page.STATE_WINDOWED},
    ),
    ((8, 5, 4_000_000, 1_796_083_500, 120, 60, page.CLOCK_SET, 4, 0, False), {"listened_ds": 80, "state": SAVING_SITE}),
    (
        (9, 5, 4_300_000, 1_796_083_800, 300, 60, page.CLOCK_KEPT, 4, 0, False),
        {"listened_ds": 0, "state": page.STATE_CLOCK_REPAIRED},
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF, 0xFF, page.CLOCK_RTC, 21, 0xFFFF, True),
        {"listened_ds": 0xFFFF, "state": EVERY_STATE},
    ),
    ((10, 6, 300_000, 1_796_084_100, 300, 60, page.CLOCK_SET, 5, 0, True), {"listened_ds": 3000}),
)


def ecb(key: bytes, blocks: bytes) -> bytes:
    """AES-ECB of whole blocks, as the token's cryptolib gives it."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


def records_of(number: int) -> list[page.Record]:
    """Per page: none; both kinds with every field at an edge; every flag; one of each kind; 64 wide; 64 mixed."""
    bluezone, gaen, stale, connected = page.KIND_BLUEZONE, page.KIND_GAEN, page.RECORD_STALE, page.RECORD_CONNECTED
    real = (bytes.fromhex("b9a665d754fe65e665d76a45"), 0, 299, 42, 5, -61, -74, -7)
    real_gaen = (bytes.fromhex("8be6cd371c5c891604bfbe49df84509672033874"), 3, 240, 19, 4, -70, -82, 127)
    low, high = (0, 0, 0, 0, -128, -128, -128), (65535, 65535, 65535, 255, 127, 127, 127)
    edges = [
        page.Record(*real),
        page.Record(*real_gaen, gaen),
        page.Record(bytes(12), *low),
        page.Record(bytes(20), *low, gaen),
        page.Record(bytes([255] * 12), *high),
        page.Record(bytes([255] * 20), *high, gaen),
    ]
    flags = [page.Record(*real, bluezone, bits) for bits in (stale, connected, stale | connected)]
    flags += [page.Record(*real_gaen, gaen, bits) for bits in (stale, connected, stale | connected)]
    one_each = [page.Record(*real_gaen, gaen), page.Record(*real)]
    wide = [page.Record(bytes([n] * 20), n, n + 1, n + 2, n, -n - 30, -n - 31, 0, gaen) for n in range(64)]
    mixed = [page.Record(bytes([n] * 12), n, n + 1, n + 2, n, -n - 30, -n - 31, 0) for n in range(64)]
    mixed[1::2] = wide[1::2]
    return ([], edges, flags, one_each, wide, mixed)[number]


def page_case(number: int) -> dict[str, Any]:
    values, named = HEADERS[number]
    header = page.PageHeader(*values, **named)
    records = records_of(number)
    log_key = keys.next_log_key(
        registry_keys.first_log_key(registry_keys.token_root(MASTER, UID)), header.log_key_number
    )
    sealed = page.seal(header, records, log_key, ecb)
    return {
        "header": dict(vars(header)),
        "records": [{**vars(record), "rotating_id": record.rotating_id.hex()} for record in records],
        "log_key": log_key.hex(),
        "page": sealed.hex(),
    }


def key_case() -> dict[str, str]:
    root = registry_keys.token_root(MASTER, UID)
    auth, host_nonce, token_nonce = registry_keys.auth_key(root), bytes(range(16)), bytes(range(16, 32))
    return {
        "master_key": MASTER.hex(),
        "uid": UID.hex(),
        "root": root.hex(),
        "auth_key": auth.hex(),
        "first_log_key": registry_keys.first_log_key(root).hex(),
        "host_nonce": host_nonce.hex(),
        "token_nonce": token_nonce.hex(),
        "token_proof": keys.token_proof(auth, host_nonce, token_nonce).hex(),
        "host_proof": keys.host_proof(auth, host_nonce, token_nonce).hex(),
        "session_key": keys.session_key(auth, host_nonce, token_nonce).hex(),
    }


def message_case(name: str, op: int, group: int, command: int, sequence: int, fields: dict[str, Any]) -> dict[str, Any]:
    message = smp.Message(op, group, command, sequence, cbor.dumps(fields)).pack()
    return {
        "name": name,
        "op": op,
        "group": group,
        "command": command,
        "sequence": sequence,
        "message": message.hex(),
        "lines": [line.decode("ascii") for line in smp.encode_lines(message)],
    }


def smp_cases() -> dict[str, Any]:
    session = bytes.fromhex(key_case()["session_key"])
    request, answer = {"off": 0, "n": 512}, {"off": 0, "d": bytes(range(256)) * 2}
    read = messages.CMD_READ
    sealed_request = messages.seal(session, messages.REQUEST, read, 1, request)
    sealed_answer = messages.seal(session, messages.RESPONSE, read, 1, answer)
    token, ask, reply = smp.GROUP_TOKEN, smp.OP_WRITE, smp.OP_WRITE_RESPONSE
    return {
        "session_key": session.hex(),
        "messages": [
            message_case("echo request", smp.OP_WRITE, smp.GROUP_OS, smp.OS_ECHO, 0, {"d": "xin chào"}),
            message_case("empty map", smp.OP_READ, token, messages.CMD_INFO, 255, {}),
            message_case("sealed read request", ask, token, read, 1, sealed_request),
            message_case("sealed read answer, seven lines", reply, token, read, 1, sealed_answer),
        ],
    }


def write_new(name: str, content: dict[str, Any]) -> str:
    """An error sentence, or "" when the file was written."""
    path = FOLDER / name
    if path.exists():
        return f"{name} exists: golden files are never rewritten, start the next version instead"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return ""


def main() -> int:
    pages = {"keys": key_case(), "pages": [page_case(number) for number in range(len(HEADERS))]}
    said = [write_new("page_v2.json", pages), write_new("smp_v1.json", smp_cases())]
    print("\n".join(line for line in said if line) or "written")
    return 1 if all(said) else 0


if __name__ == "__main__":
    sys.exit(main())
