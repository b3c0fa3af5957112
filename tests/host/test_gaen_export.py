"""Diagnosis-key exports: the published samples read and verified, ours written and read back, every damage told."""

import base64
import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.host.gaen_files import INTERVAL, KEY, SAMPLES, START_S, export, key, signatures, zipped

from bztoken.errors import FormatError
from bztoken.formats import gaen_export, gaen_messages
from bztoken.formats.export_signature import Verdict, load_public_key
from bztoken.formats.gaen_export import HEADER, GaenKey, read_export

COUNTS = {
    "cwa_keys.zip": 24_131,
    "int_cpp_export.bin": 200,
    "int_sample_diagnosis_key_file.zip": 140,
    "int_app_export.bin": 110,
    "xam_KeysExample.zip": 110,
    "ens_testExport.zip": 2,
    "xam_SignedExample.zip": 2,
    "xam_SignedExample2.zip": 2,
}
SIGNED = {
    "ens_testExport.zip": "ens_public.pem",
    "xam_SignedExample.zip": "xam_SignedExample.pem",
    "xam_SignedExample2.zip": "xam_SignedExample2.pem",
    "xam_KeysExample.zip": "xam_SignedExample.pem",
}


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "export"
    path.write_bytes(content)
    return path


def refused(tmp_path: Path, content: bytes) -> str:
    """What is said of a file that is no export; never a key."""
    with pytest.raises(FormatError) as caught:
        read_export(write(tmp_path, content))
    assert KEY[:4].hex() not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "keys"), COUNTS.items())
def test_every_key_of_the_published_samples_is_read(name: str, keys: int) -> None:
    found = read_export(SAMPLES / name)
    assert len({found_key.key for found_key in found.keys}) == len(found.keys) == keys
    assert found.revised_keys == () and (found.batch_num, found.batch_size) == (1, 1)
    assert found.region == ("DE" if name.startswith("cwa") else "US")
    assert found.verdict(None) is Verdict.UNVERIFIED


def test_a_sample_holds_the_keys_that_its_authors_list() -> None:
    listed = json.loads((SAMPLES / "ens_keys.json").read_text())["temporaryExposureKeys"]
    assert read_export(SAMPLES / "ens_testExport.zip").keys == tuple(
        GaenKey(base64.b64decode(row["key"]), row["rollingStartNumber"], row["rollingPeriod"], row["transmissionRisk"])
        for row in listed
    )


@pytest.mark.parametrize(("name", "pem"), SIGNED.items())
def test_published_signatures_are_valid_with_their_key_and_no_other(name: str, pem: str) -> None:
    found = read_export(SAMPLES / name)
    assert found.verdict(load_public_key(SAMPLES / pem)) is Verdict.VALID
    right = load_public_key(SAMPLES / pem)
    others = [other for name in SIGNED.values() if (other := load_public_key(SAMPLES / name)) != right]
    assert {found.verdict(other) for other in others} == {Verdict.INVALID}


@pytest.mark.parametrize("name", sorted(SIGNED))
def test_a_signature_fits_no_changed_export(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(SAMPLES / name) as archive:
        content, signature = archive.read("export.bin"), archive.read("export.sig")
    place = content.index(read_export(SAMPLES / name).keys[0].key)
    changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    path = write(tmp_path, zipped({"export.bin": changed, "export.sig": signature}))
    assert read_export(path).verdict(load_public_key(SAMPLES / SIGNED[name])) is Verdict.INVALID


def test_an_export_that_nobody_signed_stays_unverified() -> None:
    found = read_export(SAMPLES / "int_app_export.bin")
    assert found.verdict(load_public_key(SAMPLES / "ens_public.pem")) is Verdict.UNVERIFIED


def test_a_signature_of_no_form_at_all_is_invalid(tmp_path: Path) -> None:
    path = write(tmp_path, zipped({"export.bin": export(key()), "export.sig": signatures()}))
    assert read_export(path).verdict(load_public_key(SAMPLES / "ens_public.pem")) is Verdict.INVALID


def test_one_right_signature_of_two_is_enough(tmp_path: Path) -> None:
    with zipfile.ZipFile(SAMPLES / "ens_testExport.zip") as archive:
        content, right = archive.read("export.bin"), archive.read("export.sig")
    twice = signatures(signature_info={"verification_key_id": "some_id"}) + right
    found = read_export(write(tmp_path, zipped({"export.bin": content, "export.sig": twice})))
    assert len(found.signatures) == 2 and found.verdict(load_public_key(SAMPLES / "ens_public.pem")) is Verdict.VALID


def test_every_field_of_a_key_is_read(tmp_path: Path) -> None:
    whole = key(rolling_period=7, transmission_risk_level=8, report_type=5, days_since_onset_of_symptoms=-14)
    found = read_export(write(tmp_path, export(key(), revised_keys=[whole])))
    assert found.keys == (GaenKey(KEY, INTERVAL, 144, 0, 0, None),)
    assert found.revised_keys == (GaenKey(KEY, INTERVAL, 7, 8, 5, -14),)
    assert (found.keys[0].start_s, found.keys[0].end_s) == (START_S, START_S + 86_399)
    assert (found.start_s, found.end_s, found.region) == (START_S, START_S + 86_400, "VN")


def test_days_since_onset_of_zero_are_told_from_none(tmp_path: Path) -> None:
    assert read_export(write(tmp_path, export(key(days_since_onset_of_symptoms=0)))).keys[0].days_since_onset == 0


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    later = export(key()) + b"\xa2\x06\x03new" + b"\xa8\x06\x2a"  # field 100: three bytes; field 101: a number
    assert len(read_export(write(tmp_path, later)).keys) == 1


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"key_data": KEY[:15]}, "the key has 15 bytes"),
        ({"key_data": KEY * 2}, "the key has 32 bytes"),
        ({"rolling_period": 0}, "rolling period"),
        ({"rolling_period": 145}, "rolling period"),
        ({"rolling_period": -1}, "rolling period"),
        ({"rolling_start_interval_number": 0}, "first interval"),
        ({"rolling_start_interval_number": START_S}, "first interval"),
        ({"rolling_start_interval_number": -INTERVAL}, "first interval"),
        ({"transmission_risk_level": 9}, "transmission risk"),
        ({"report_type": 6}, "report type"),
        ({"days_since_onset_of_symptoms": 15}, "days since the onset"),
        ({"days_since_onset_of_symptoms": -15}, "days since the onset"),
    ],
)
def test_a_wrong_key_is_told_with_its_number_and_byte(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    wrong = key(**changes)
    content = export(key(), wrong)
    place = content.rindex(wrong.SerializeToString())
    assert f"export.bin, byte {place}, key 2: " in (said := refused(tmp_path, content)) and problem in said
    revised = refused(tmp_path, export(key(), revised_keys=[wrong]))
    assert ", revised key 1: " in revised and problem in revised


def test_a_key_that_holds_nothing_is_told(tmp_path: Path) -> None:
    assert "key 2: the key has 0 bytes" in refused(tmp_path, export(key(), gaen_messages.Key()))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"start_timestamp": 0}, "start and end"),
        ({"end_timestamp": START_S - 1}, "start and end"),
        ({"end_timestamp": 1 << 40}, "start and end"),
        ({"start_timestamp": START_S * 1000, "end_timestamp": START_S * 1000}, "start and end"),
        ({"batch_num": 3, "batch_size": 2}, "batch 3 of 2"),
        ({"batch_num": 0, "batch_size": 2}, "batch 0 of 2"),
        ({"region": "\x1b[2J"}, "region"),
        ({"region": "x" * 65}, "region"),
        ({"signature_infos": [{"verification_key_id": "a\nb"}]}, "key ID"),
        ({"signature_infos": [{}] * 17}, "more than 16 signatures"),
    ],
)
def test_a_wrong_export_is_told(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    assert problem in refused(tmp_path, export(key(), **changes))


def test_text_that_is_no_utf_8_is_told(tmp_path: Path) -> None:
    assert "region" in refused(tmp_path, export(key()).replace(b"\x1a\x02VN", b"\x1a\x02\xff\xfe"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "neither a zip nor an export.bin"),
        (b"EK", "neither a zip nor an export.bin"),
        (b"-----BEGIN PUBLIC KEY-----\n", "neither a zip nor an export.bin"),
        (b"EK Export v2    ", "export.bin, byte 0: it does not begin"),
        (b"EK Export v1", "export.bin, byte 0: it does not begin"),
        (HEADER, "start and end are missing"),
        (HEADER + b"\x3a\x12\x0a", "export.bin, byte 16: the file is cut short"),
        (HEADER + b"\x3a\x80", "export.bin, byte 17: the file is cut short"),
        (HEADER + b"\x20" + b"\xff" * 12, "export.bin, byte 17: the file is damaged"),
        (HEADER + b"\x3b", "export.bin, byte 16: here is no field"),
        (HEADER + b"\x02\x00", "export.bin, byte 16: here is no field"),
        (HEADER + b"\x3a\x02\x0a\x10", "export.bin, byte 18: the file is cut short"),
    ],
)
def test_broken_bytes_are_told_with_their_place(tmp_path: Path, content: bytes, problem: str) -> None:
    assert problem in refused(tmp_path, content)


RIGHT = {"export.bin": export(key()), "export.sig": signatures()}


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"export.sig": RIGHT["export.sig"]}, "no export.bin"),
        ({"export.bin": RIGHT["export.bin"]}, "no export.sig"),
        (RIGHT | {"readme": b""}, "more than export.bin and export.sig"),
        ({f"{n}": b"" for n in range(17)}, "far more than"),
        (RIGHT | {"export.bin": b"EK Export v3    "}, "export.bin, byte 0"),
        (RIGHT | {"export.sig": b"\x0a\x05"}, "export.sig, byte 0: the file is cut short"),
        (RIGHT | {"export.sig": signatures(batch_num=2, batch_size=2)}, "export.sig: the signature is of another"),
        (RIGHT | {"export.sig": signatures(batch_num=2)}, "export.sig: batch 2 of 1"),
        (RIGHT | {"export.sig": signatures() * 17}, "more than 16 signatures"),
        (RIGHT | {"export.bin": bytes(gaen_export.MAX_FILE_BYTES + 1)}, "export.bin is larger"),
        (RIGHT | {"export.sig": bytes(70_000)}, "export.sig is larger"),
    ],
)
def test_a_wrong_zip_is_told(tmp_path: Path, files: dict[str, bytes], problem: str) -> None:
    assert problem in refused(tmp_path, zipped(files))


def test_a_signature_by_a_key_that_the_export_does_not_name_is_of_another_file(tmp_path: Path) -> None:
    named = export(key(), signature_infos=[{"verification_key_id": "452"}])
    other = signatures(signature_info={"verification_key_id": "262"})
    assert "another export" in refused(tmp_path, zipped({"export.bin": named, "export.sig": other}))
    same = signatures(signature_info={"verification_key_id": "452"})
    assert len(read_export(write(tmp_path, zipped({"export.bin": named, "export.sig": same}))).signatures) == 1


def test_a_member_that_is_there_twice_is_told(tmp_path: Path) -> None:
    whole = io.BytesIO(zipped(RIGHT))
    with zipfile.ZipFile(whole, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("export.bin", b"other")
    assert "more than one export.bin" in refused(tmp_path, whole.getvalue())


@pytest.mark.parametrize("packed", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_in_another_way_is_refused(tmp_path: Path, packed: int) -> None:
    assert "damaged or of another kind" in refused(tmp_path, zipped(RIGHT, packed))


def test_a_wrong_checksum_is_told(tmp_path: Path) -> None:
    stored = zipped(RIGHT, zipfile.ZIP_STORED)
    place = stored.index(KEY)
    assert "damaged" in refused(tmp_path, stored[:place] + b"\0" + stored[place + 1 :])


def test_a_zip_closed_with_a_password_is_refused(tmp_path: Path) -> None:
    closed = bytearray(zipped(RIGHT, zipfile.ZIP_STORED))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        closed[closed.index(mark) + flags] |= 1
    assert "damaged or of another kind" in refused(tmp_path, bytes(closed))


def test_a_file_that_never_ends_is_refused() -> None:
    with pytest.raises(FormatError, match="larger than 32 MiB"):
        read_export(Path("/dev/zero"))


def test_more_keys_than_any_server_writes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    empty_keys = b"\x3a\x00" * (gaen_export.MAX_KEYS + 1)
    assert f"more than {gaen_export.MAX_KEYS} keys" in refused(tmp_path, HEADER + empty_keys)


def read_cut(tmp_path: Path, name: str) -> list[int]:
    """A sample, cut after every byte: how many keys are read where it is not refused."""
    whole, read = (SAMPLES / name).read_bytes(), []
    for length in range(len(whole)):
        try:
            read.append(len(read_export(write(tmp_path, whole[:length])).keys))
        except FormatError as error:
            assert str(error)
    return read


def test_a_zip_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    assert read_cut(tmp_path, "xam_SignedExample.zip") == []


def test_a_bare_export_is_refused_unless_it_was_cut_between_two_fields(tmp_path: Path) -> None:
    """Such a piece is a message like any other: only a signature would tell."""
    assert read_cut(tmp_path, "int_app_export.bin") == [0] * 5 + list(range(1, 110))


@pytest.mark.parametrize("name", sorted(set(COUNTS) - {"cwa_keys.zip"}))
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_damage_is_refused_or_leaves_right_keys(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Bits are turned within the file, and within export.bin under a checksum that fits again."""
    raw = (SAMPLES / name).read_bytes()
    if name.endswith(".zip") and data.draw(st.booleans()):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files = {member: turned(archive.read(member), data) for member in ("export.bin", "export.sig")}
        raw = zipped(files)
    else:
        raw = turned(raw, data)
    try:
        found = read_export(write(tmp_path, raw))
    except FormatError:
        return
    assert all(found_key.problem() is None for found_key in found.keys)
    found.verdict(load_public_key(SAMPLES / "ens_public.pem"))


def turned(raw: bytes, data: st.DataObject) -> bytes:
    damaged = bytearray(raw)
    for bit in data.draw(st.lists(st.integers(0, len(raw) * 8 - 1), min_size=1, max_size=4)):
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


@given(content=st.binary(max_size=200), header=st.sampled_from([b"", HEADER, b"PK", b"PK\x03\x04"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_noise_is_no_export(tmp_path: Path, content: bytes, header: bytes) -> None:
    refused(tmp_path, header + content)


def test_no_repr_shows_a_key_or_a_signature() -> None:
    found = read_export(SAMPLES / "ens_testExport.zip")
    shown = repr(found)
    for secret in (found.keys[0].key, found.signatures[0]):
        assert repr(secret)[2:10] not in shown and secret.hex()[:8] not in shown
