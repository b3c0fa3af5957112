"""Holds the wire formats against the vector files; CPython and MicroPython run this very file.

Run: `micropython tests/wire/check_vectors.py FIRMWARE_FOLDER VECTORS_FOLDER`. Prints one line for each check that
fails and "N checks" at the end; exits 1 when one failed. Pure of pytest, pathlib and everything a token has not.
"""

import binascii
import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from bzwire import bluezone, cbor, gaen, keys, messages, page, registry_keys, smp  # noqa: E402
from bzwire.errors import WireError  # noqa: E402


def ecb(key: bytes, blocks: bytes) -> bytes:
    """AES-ECB of whole blocks with what this interpreter has."""
    if sys.implementation.name == "micropython":
        from cryptolib import aes

        return aes(key, 1).encrypt(blocks)
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)


class Tally:
    """Counts checks and says which did not hold."""

    def __init__(self) -> None:
        self.checks = 0
        self.failed = 0

    def equal(self, what: str, found: object, expected: object) -> None:
        self.checks += 1
        if found != expected:
            self.failed += 1
            print(f"FAILED {what}: {found!r} is not {expected!r}")

    def refused(self, what: str, action: object) -> None:
        """`action` must raise a WireError."""
        self.checks += 1
        try:
            action()
        except WireError:
            return
        self.failed += 1
        print(f"FAILED {what}: was not refused")


def unhex(text: str) -> bytes:
    return binascii.unhexlify(text)


def load(name: str) -> dict:
    with open(sys.argv[2] + "/" + name) as file:
        return json.load(file)


def check_bluezone(tally: Tally) -> None:
    vectors = load("bluezone.json")
    tally.equal("salt", bluezone.SALT, vectors["salt_ascii"].encode())
    tally.equal("selected bytes", list(bluezone.SELECTED_BYTES), vectors["selected_bytes"])
    for day in vectors["captured"] + vectors["computed"]:
        whole_day = list(bluezone.slot_ids(unhex(day["day_key"])))
        tally.equal("start of day", bluezone.slot_of(day["day_start_unix_s"]), 0)
        for slot, rotating_id in day["slots"].items():
            tally.equal("slot " + slot, whole_day[int(slot)], unhex(rotating_id))
            tally.equal("slot alone " + slot, bluezone.slot_id(unhex(day["day_key"]), int(slot)), unhex(rotating_id))
            sent = bluezone.advertisement(unhex(rotating_id), -7)
            tally.equal("advertisement " + slot, bluezone.parse_advertisement(sent), (unhex(rotating_id), -7))
            reordered = memoryview(sent[23:] + sent[7:23] + sent[:7])
            tally.equal("fields in another order", bluezone.parse_advertisement(reordered), (unhex(rotating_id), -7))
    first, following = vectors["captured"][0], vectors["computed"][1]
    tally.equal("next day key", bluezone.next_day_key(unhex(first["day_key"])), unhex(following["day_key"]))


def check_gaen(tally: Tally) -> None:
    vectors = load("gaen.json")
    start_s, tek = vectors["key_generation_seconds"], unhex(vectors["tek"])
    tally.equal("GAEN interval", gaen.INTERVAL_S, vectors["interval_seconds"])
    tally.equal("GAEN rolling period", gaen.INTERVALS_PER_DAY, vectors["tek_rolling_period"])
    tally.equal("GAEN start of day", gaen.day_start_interval(start_s + 86399), vectors["tek_rolling_start_interval"])
    rpik, aemk = gaen.rpi_key(tek), gaen.aem_key(tek)
    tally.equal("RPIK", rpik, unhex(vectors["rpik"]))
    tally.equal("AEMK", aemk, unhex(vectors["aemk"]))
    tx_power_dbm = unhex(vectors["ble_metadata"])[1]
    for sent in vectors["advertised"]:
        name, rpi, aem = f"interval {sent['i']}", unhex(sent["rpi"]), unhex(sent["aem"])
        tally.equal(name, gaen.interval_of(start_s + 600 * sent["i"] + 599), sent["interval"])
        tally.equal(name + ": RPI", gaen.rpi(rpik, sent["interval"], ecb), rpi)
        tally.equal(name + ": AEM", gaen.aem(aemk, rpi, tx_power_dbm, ecb), aem)
        tally.equal(name + ": TX power", gaen.open_aem(aemk, rpi, aem, ecb), tx_power_dbm)
        packet = gaen.advertisement(rpi, aem)
        found = (rpi + aem, gaen.TX_POWER_UNKNOWN)
        tally.equal(name + ": packet", gaen.parse_advertisement(memoryview(packet)), found)
        tally.equal(name + ": other order", gaen.parse_advertisement(packet[7:] + packet[:7]), found)
        tally.equal(name + ": not Bluezone", bluezone.parse_advertisement(packet), None)


def check_iphone(tally: Tally) -> None:
    service = binascii.unhexlify(bluezone.SERVICE_UUID128.replace("-", ""))
    backwards = bytes([service[15 - n] for n in range(16)])
    tally.equal("iPhone, app in front", bluezone.is_iphone(memoryview(b"\x02\x01\x1a\x11\x07" + backwards)), True)
    tally.equal("iPhone, app behind", bluezone.is_iphone(b"\x02\x01\x1a\x14\xff\x4c\x00\x01" + bytes(16)), True)
    tally.equal("another 128-bit service", bluezone.is_iphone(b"\x11\x07" + service), False)
    tally.equal("our own packet", bluezone.is_iphone(bluezone.advertisement(bytes(12), 0)), False)


def check_keys(tally: Tally) -> None:
    known = {name: unhex(value) for name, value in load("page_v1.json")["keys"].items()}
    root = registry_keys.token_root(known["master_key"], known["uid"])
    auth, nonces = registry_keys.auth_key(root), (known["host_nonce"], known["token_nonce"])
    tally.equal("root", root, known["root"])
    tally.equal("auth key", auth, known["auth_key"])
    tally.equal("first log key", registry_keys.first_log_key(root), known["first_log_key"])
    tally.equal("token proof", keys.token_proof(auth, *nonces), known["token_proof"])
    tally.equal("host proof", keys.host_proof(auth, *nonces), known["host_proof"])
    tally.equal("session key", keys.session_key(auth, *nonces), known["session_key"])


def as_json(thing: object) -> dict:
    """The fields of a record or header as the golden file writes them."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in thing.__dict__.items()}


def check_pages(tally: Tally) -> None:
    for case in load("page_v2.json")["pages"]:
        sealed, log_key = unhex(case["page"]), unhex(case["log_key"])
        header, records = page.open_page(sealed, log_key, ecb)
        tally.equal("page header", as_json(header), case["header"])
        tally.equal("page records", [as_json(record) for record in records], case["records"])
        tally.equal("page bytes", page.seal(header, records, log_key, ecb), sealed)
        check_refusals(tally, sealed, log_key)


def check_old_pages(tally: Tally) -> None:
    """Version 1 is read for ever, and what was read is written as version 2."""
    for case in load("page_v1.json")["pages"]:
        sealed, log_key = unhex(case["page"]), unhex(case["log_key"])
        header, records = page.open_page(sealed, log_key, ecb)
        expected = dict(case["header"])
        expected.update({"version": 1, "listened_ds": 0, "state": 0})
        tally.equal("old page header", as_json(header), expected)
        tally.equal("old page header alone", as_json(page.read_header(sealed[: page.HEADER_BYTES])), expected)
        for record in case["records"]:
            record["flags"] = 0
        tally.equal("old page records", [as_json(record) for record in records], case["records"])
        _, again = page.open_page(page.seal(header, records, log_key, ecb), log_key, ecb)
        tally.equal("old page records, sealed anew", [as_json(record) for record in again], case["records"])
        check_refusals(tally, sealed, log_key)


def check_refusals(tally: Tally, sealed: bytes, log_key: bytes) -> None:
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    tally.refused("damaged page", lambda: page.open_page(damaged, log_key, ecb))
    tally.refused("wrong log key", lambda: page.open_page(sealed, bytes(32), ecb))


def crc_by_definition(data: bytes, crc: int) -> int:
    """CRC-16/XMODEM bit by bit."""
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc


def check_crc(tally: Tally) -> None:
    """MicroPython computes it in machine code of ours, CPython in its own."""
    native = sys.implementation.name == "micropython"
    tally.equal("machine code", "bzwire.crc16" in sys.modules, native)
    tally.equal("published value", smp.crc16(b"123456789"), 0x31C3)
    for length in (0, 1, 2, 3, 64, 93, 255, 256, 2048):
        data = os.urandom(length)
        for crc in (0, 1, 0x8000, 0xFFFF):
            tally.equal("CRC of " + data.hex(), smp.crc16(data, crc), crc_by_definition(data, crc))
        view = memoryview(bytearray(b"?" + data + b"?"))[1:-1]
        tally.equal("CRC of a view", smp.crc16(view), crc_by_definition(data, 0))
        half = smp.crc16(data[: length // 2])
        tally.equal("CRC in two steps", smp.crc16(data[length // 2 :], half), smp.crc16(data))


def check_smp(tally: Tally) -> None:
    for case in load("smp_v1.json")["messages"]:
        name, raw = case["name"], unhex(case["message"])
        lines = [line.encode() for line in case["lines"]]
        tally.equal(name + ": lines", list(smp.encode_lines(raw)), lines)
        tally.equal(name + ": decoded", smp.LineDecoder().feed(b"".join(lines)), [raw])
        message = smp.unpack_message(raw)
        header = (message.op, message.group, message.command, message.sequence)
        tally.equal(name + ": header", header, (case["op"], case["group"], case["command"], case["sequence"]))
        tally.equal(name + ": packed", message.pack(), raw)
        # MicroPython keeps no order in a map, so the bytes of a re-encoded map are compared by meaning.
        body = cbor.loads(message.body)
        tally.equal(name + ": CBOR", cbor.loads(cbor.dumps(body)), body)


def check_sealed(tally: Tally) -> None:
    vectors = load("smp_v1.json")
    session = unhex(vectors["session_key"])
    envelopes = [cbor.loads(smp.unpack_message(unhex(case["message"])).body) for case in vectors["messages"]]
    request, answer = envelopes[2], envelopes[3]
    unsealed = messages.unseal(session, messages.REQUEST, messages.CMD_READ, request)
    tally.equal("sealed request", unsealed, (1, {"off": 0, "n": 512}))
    _, fields = messages.unseal(session, messages.RESPONSE, messages.CMD_READ, answer)
    tally.equal("sealed answer", fields, {"off": 0, "d": bytes(range(256)) * 2})
    tally.refused(
        "answer taken for a request",
        lambda: messages.unseal(session, messages.REQUEST, messages.CMD_READ, answer),
    )


def check_traps(tally: Tally) -> None:
    """Where MicroPython's struct would cut a value without a word, ours must refuse."""
    record = page.Record(bytes(12), 65536, 0, 0, 0, 0, 0, 0)
    tally.refused("first_s of 17 bits", lambda: page.pack_record(record))
    tally.refused("TX power 127", lambda: bluezone.advertisement(bytes(12), 127))
    tally.refused("SMP sequence 256", lambda: smp.Message(0, 0, 0, 256, b"").pack())
    tally.refused("SMP operation 8", lambda: smp.Message(8, 0, 0, 0, b"").pack())
    tally.refused("SMP version 4", lambda: smp.Message(0, 0, 0, 0, b"", 4).pack())
    tally.refused("counter of 33 bits", lambda: messages.seal(bytes(32), b"Q", 5, 1 << 32, {}))
    tally.refused("integer of 65 bits", lambda: cbor.dumps(1 << 64))
    tally.refused("CBOR string of 2^63 bytes", lambda: cbor.loads(b"\x5b\x7f" + b"\xff" * 7))
    tally.refused("text that is not UTF-8", lambda: cbor.loads(b"\x62\xff\xfe"))
    tally.refused("record cut short", lambda: page.unpack_record(b"\x01" + bytes(21)))
    tally.refused("GAEN record cut short", lambda: page.unpack_record(b"\x02" + bytes(29)))
    header = page.PageHeader(1, 1, 1, 1, 300, 60, 1, 1, state=256)
    tally.refused("state of 9 bits", lambda: header.pack())
    header.state, header.listened_ds = 0, 65536
    tally.equal("a radio that listened for long", page.read_header(header.pack() + bytes(12)).listened_ds, 65535)
    tally.refused("GAEN interval of 33 bits", lambda: gaen.rpi(bytes(16), 1 << 32, ecb))
    tally.refused("GAEN TX power 128", lambda: gaen.aem(bytes(16), bytes(16), 128, ecb))


def main() -> int:
    tally = Tally()
    for check in (check_bluezone, check_gaen, check_iphone, check_keys, check_pages, check_old_pages):
        check(tally)
    for check in (check_crc, check_smp, check_sealed, check_traps):
        check(tally)
    print(f"{tally.checks} checks, {tally.failed} failed")
    return 1 if tally.failed else 0


sys.exit(main())
