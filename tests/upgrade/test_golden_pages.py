"""Day files of every version of the page format open to what they always opened to, alone and one after the other."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bztoken.crypto import aes_ecb
from bzwire import keys, page
from bzwire.errors import WireError

VERSIONS = [1, 2]
NEW_IN_2 = {"version": 1, "listened_ds": 0, "state": 0}  # what a header of version 1 is read as


def golden(folder: Path, version: int) -> tuple[bytes, dict[str, Any]]:
    facts = json.loads((folder / f"log-v{version}.json").read_text(encoding="utf-8"))
    for case in facts["pages"]:
        if version == 1:
            case["header"].update(NEW_IN_2)
        for record in case["records"]:
            record.setdefault("flags", 0)
    return (folder / f"log-v{version}.bzl").read_bytes(), facts


def opened(raw: bytes, first_log_key: str) -> Iterator[dict[str, Any]]:
    for part in page.split_pages(raw):
        number = page.read_header(part).log_key_number
        log_key = keys.next_log_key(bytes.fromhex(first_log_key), number)
        header, records = page.open_page(part, log_key, aes_ecb)
        found = [{**vars(record), "rotating_id": record.rotating_id.hex()} for record in records]
        yield {"header": vars(header), "records": found}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_day_file_opens_to_what_it_always_opened_to(old_files: Path, version: int) -> None:
    raw, facts = golden(old_files, version)
    assert list(opened(raw, facts["first_log_key"])) == facts["pages"]
    assert len(facts["pages"]) == 12


def test_pages_of_version_2_may_follow_those_of_version_1_in_one_file(old_files: Path) -> None:
    """As in the file of the day on which a token got its new firmware."""
    (old, old_facts), (new, new_facts) = golden(old_files, 1), golden(old_files, 2)
    assert old_facts["first_log_key"] == new_facts["first_log_key"]
    found = list(opened(old + new, new_facts["first_log_key"]))
    assert found == old_facts["pages"] + new_facts["pages"]
    assert [case["header"]["sequence"] for case in found] == list(range(101, 125))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_read_is_written_as_version_2(old_files: Path, version: int) -> None:
    raw, facts = golden(old_files, version)
    log_key = keys.next_log_key(bytes.fromhex(facts["first_log_key"]), 5)
    for part in list(page.split_pages(raw))[:11]:
        header, records = page.open_page(part, log_key, aes_ecb)
        again = page.seal(header, records, log_key, aes_ecb)
        assert again[2] == page.VERSION == 2
        assert (again == bytes(part)) is (version == 2)
        reread, same = page.open_page(again, log_key, aes_ecb)
        assert vars(reread) == vars(header)
        assert [vars(record) for record in same] == [vars(record) for record in records]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_damaged_old_file_is_refused_at_the_damaged_page(old_files: Path, version: int) -> None:
    raw, facts = golden(old_files, version)
    lengths = [case["header"]["length"] for case in facts["pages"]]
    for number in range(12):
        damaged = bytearray(raw)
        damaged[sum(lengths[:number]) + lengths[number] // 2] ^= 0x10
        found = []
        with pytest.raises(WireError):
            for case in opened(bytes(damaged), facts["first_log_key"]):
                found.append(case)
        assert found == facts["pages"][:number]


def test_the_old_files_are_those_that_were_written(old_files: Path) -> None:
    """A file made anew would prove nothing."""
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in old_files.glob("*-v*.*")}
    assert digests == DIGESTS


DIGESTS = {
    "flash-v1.bin.xz": "235d3c27ad4d7758",
    "flash-v1.json": "c7ab328a525f75b6",
    "log-v1.bzl": "03785585beac0880",
    "log-v1.json": "2d82d1f78d72e280",
    "log-v2.bzl": "ab04d373254d2bab",
    "log-v2.json": "1a29c4f2420ab249",
    "registry-v1.sql": "8b410dfea76f95fc",
    "registry-v3.sql": "13c3a29fc07038b6",
    "registry-v4.sql": "1d6a8da4a9b16d6d",
    "registry-v5.sql": "e942526fafcbf4cb",
}
