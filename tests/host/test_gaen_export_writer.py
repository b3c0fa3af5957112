"""Exports of ours: read back whole, signed, and padded so that neither length, order nor a second export tells."""

import stat
import subprocess
import zipfile
from collections import Counter
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.host.gaen_files import INTERVAL, START_S

from bztoken.errors import CaseError, HomeError, PrintError
from bztoken.formats import gaen_messages
from bztoken.formats.export_signature import Verdict, load_private_key, load_public_key, make
from bztoken.formats.gaen_export import GaenKey, read_export
from bztoken.formats.gaen_export_writer import padding, write_export

SIGNING_KEY = ec.derive_private_key(0x5EED, ec.SECP256R1())
WORDS: dict[str, Any] = {
    "region": "VN",
    "start_s": START_S + 100,
    "end_s": START_S + 86_000,
    "private_key": SIGNING_KEY,
    "key_id": "452",
    "key_version": "v1",
}


def of_days(number: int) -> list[GaenKey]:
    """Keys of one person, a day each."""
    return [GaenKey(bytes([day]) * 16, INTERVAL - 144 * day, 144, 5, 1, day) for day in range(1, number + 1)]


def values(keys: Any) -> Counter[tuple[object, ...]]:
    """What keys say, but for the keys."""
    return Counter(
        (key.start_interval, key.rolling_period, key.transmission_risk, key.report_type, key.days_since_onset)
        for key in keys
    )


KEYS = st.lists(
    st.builds(
        GaenKey,
        st.binary(min_size=16, max_size=16),
        st.integers(2_577_168, 6_837_407),
        st.integers(1, 144),
        st.integers(0, 8),
        st.integers(0, 5),
        st.none() | st.integers(-14, 14),
    ),
    min_size=1,
    max_size=20,
)


@given(keys=KEYS, revised=KEYS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_export_is_read_back_as_written(tmp_path: Path, keys: list[GaenKey], revised: list[GaenKey]) -> None:
    path = tmp_path / "export.zip"
    assert write_export(path, keys, **WORDS, pad_to=0, revised_keys=revised) == len(keys)
    found = read_export(path)
    assert Counter(found.keys) == Counter(keys) and Counter(found.revised_keys) == Counter(revised)
    assert found.region == "VN" and found.verdict(SIGNING_KEY.public_key()) is Verdict.VALID
    assert [(info.key_id, info.key_version) for info in found.signature_infos] == [("452", "v1")]


def test_times_are_widened_to_whole_hours(tmp_path: Path) -> None:
    write_export(tmp_path / "export.zip", of_days(1), **WORDS)
    found = read_export(tmp_path / "export.zip")
    assert (found.start_s, found.end_s) == (START_S, START_S + 86_400)


def test_an_export_is_as_long_for_one_person_as_for_many(tmp_path: Path) -> None:
    for number in (1, 14, 200):
        keys = of_days(number) if number < 15 else [GaenKey(n.to_bytes(16, "big"), INTERVAL) for n in range(number)]
        assert 1000 <= write_export(tmp_path / "export.zip", keys, **WORDS) <= 1100


def test_what_is_longer_anyway_is_not_padded(tmp_path: Path) -> None:
    assert write_export(tmp_path / "export.zip", of_days(14), **WORDS, pad_to=7) == 14


def test_padding_says_what_real_keys_say(tmp_path: Path) -> None:
    write_export(tmp_path / "export.zip", of_days(10), **WORDS)
    found = values(read_export(tmp_path / "export.zip").keys)
    assert found.keys() == values(of_days(10)).keys()
    assert max(found.values()) - min(found.values()) <= 1


def test_keys_lie_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    write_export(tmp_path / "export.zip", of_days(14)[::-1], **WORDS, revised_keys=of_days(3)[::-1])
    found = read_export(tmp_path / "export.zip")
    for keys in (found.keys, found.revised_keys):
        assert [key.key for key in keys] == sorted({key.key for key in keys})


def test_the_same_export_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    write_export(tmp_path / "first.zip", of_days(14), **WORDS)
    write_export(tmp_path / "second.zip", of_days(14)[::-1], **WORDS)
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_what_two_exports_share_is_mostly_padding() -> None:
    """A key that is in two exports would be a real one, if padding were drawn anew for each."""
    first, second = of_days(5), of_days(14)
    shared = {*first, *padding(first, SIGNING_KEY, 1000)} & {*second, *padding(second, SIGNING_KEY, 1000)}
    assert set(first) < shared and len(shared) >= 70 * len(first)


def test_padding_cannot_be_computed_without_the_signing_key() -> None:
    other = ec.derive_private_key(0x5EEE, ec.SECP256R1())
    assert not set(padding(of_days(3), SIGNING_KEY, 100)) & set(padding(of_days(3), other, 100))


def test_the_zip_tells_neither_hour_nor_computer(tmp_path: Path) -> None:
    write_export(tmp_path / "export.zip", of_days(1), **WORDS)
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        assert [info.filename for info in archive.infolist()] == ["export.bin", "export.sig"]
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("keys", "changes", "problem"),
    [
        ([], {}, "no keys to export"),
        ([GaenKey(bytes(15), INTERVAL)], {}, "15 bytes"),
        ([GaenKey(bytes(16), INTERVAL, 145)], {}, "rolling period"),
        (of_days(1), {"revised_keys": [GaenKey(bytes(16), 0)]}, "first interval"),
        (of_days(1), {"end_s": START_S}, "in order"),
        (of_days(1), {"start_s": 0}, "in order"),
        (of_days(1), {"end_s": START_S * 1000}, "2100"),
        (of_days(1), {"region": "a\nb"}, "in one line"),
        (of_days(1), {"key_id": "4" * 65}, "64 letters"),
    ],
)
def test_what_no_export_may_hold_is_told_and_nothing_is_written(
    tmp_path: Path, keys: list[GaenKey], changes: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(b"as it was")
    with pytest.raises(CaseError, match=problem) as caught:
        write_export(path, keys, **WORDS | changes)
    assert "nothing was written" in str(caught.value) and path.read_bytes() == b"as it was"


def test_an_export_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PrintError, match="cannot be written"):
        write_export(tmp_path / "no" / "export.zip", of_days(1), **WORDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(which("openssl") is None, reason="openssl, which checks our signature, is not on this computer")
def test_openssl_finds_our_signature_right(tmp_path: Path) -> None:
    public = make(tmp_path / "key.pem")
    signing = WORDS | {"private_key": load_private_key(tmp_path / "key.pem")}
    write_export(tmp_path / "export.zip", of_days(2), **signing)
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        (tmp_path / "export.bin").write_bytes(archive.read("export.bin"))
        listed = gaen_messages.SignatureList.FromString(archive.read("export.sig"))
    (tmp_path / "der").write_bytes(listed.signatures[0].signature)
    command = ["openssl", "dgst", "-sha256", "-verify", public, "-signature", tmp_path / "der", tmp_path / "export.bin"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "Verified OK\n"


def test_a_signing_key_is_for_its_owner_only_and_never_replaced(tmp_path: Path) -> None:
    public = make(tmp_path / "province.pem")
    assert public == tmp_path / "province.public.pem"
    assert stat.S_IMODE((tmp_path / "province.pem").stat().st_mode) == 0o600
    assert load_private_key(tmp_path / "province.pem").public_key() == load_public_key(public)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(HomeError, match="exists already"):
        make(tmp_path / "province.pem")
    public.rename(tmp_path / "other.public.pem")
    with pytest.raises(HomeError, match="exists already"):
        make(tmp_path / "other.pem")
    assert (tmp_path / "province.pem").read_bytes() == before[tmp_path / "province.pem"] and len(before) == 2


def test_a_signing_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(HomeError, match="chmod 600"):
        load_private_key(tmp_path / "key.pem")
