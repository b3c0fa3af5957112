"""`bztoken keys`: any file of keys or contacts is known by what it holds, and told without a key in it."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tests.host.gaen_files import INTERVAL, KEY, SAMPLES, START_S, export, key, signatures, zipped

from bztoken.errors import FormatError, HomeError, PrintError
from bztoken.formats import key_digest
from bztoken.formats.case_list import CaseKey, write_case_list
from bztoken.formats.export_signature import load_private_key
from bztoken.formats.gaen_export import GaenKey
from bztoken.formats.gaen_export_writer import write_export
from bztoken.formats.history import HistoryLine, read_history, write_history
from bztoken.formats.key_digest import digest_of
from bztoken.formats.tracing_key import SCHEME_GAEN, TracingKey
from bztoken.key_files import KeyFormat, format_of

Cli = Callable[..., Any]


PKCS8, SPKI = PrivateFormat.PKCS8, PublicFormat.SubjectPublicKeyInfo


def of_gaen(key_bytes: bytes, start_s: int) -> TracingKey:
    return TracingKey(SCHEME_GAEN, key_bytes, start_s, 144, start_s + 86_399)


@pytest.mark.parametrize(
    ("name", "keys", "pem", "signature"),
    [
        ("cwa_keys.zip", 24_131, None, "unverified"),
        ("int_cpp_export.bin", 200, None, "unverified"),
        ("int_sample_diagnosis_key_file.zip", 140, None, "unverified"),
        ("int_app_export.bin", 110, None, "unverified"),
        ("ens_testExport.zip", 2, None, "unverified"),
        ("ens_testExport.zip", 2, "ens_public.pem", "valid"),
        ("xam_SignedExample.zip", 2, "xam_SignedExample.pem", "valid"),
        ("xam_SignedExample2.zip", 2, "xam_SignedExample2.pem", "valid"),
        ("xam_KeysExample.zip", 110, "xam_SignedExample.pem", "valid"),
        ("xam_SignedExample.zip", 2, "ens_public.pem", "invalid"),
        ("cwa_keys.zip", 24_131, "ens_public.pem", "invalid"),
        ("int_app_export.bin", 110, "ens_public.pem", "unverified"),
    ],
)
def test_the_published_samples_are_told(cli: Cli, name: str, keys: int, pem: str | None, signature: str) -> None:
    with_key = () if pem is None else ("--public-key", SAMPLES / pem)
    ran = cli("keys", "inspect", SAMPLES / name, *with_key, "--json")
    document = ran.document()
    wanted = {"format": "gaen-export", "keys": keys, "revised": 0, "signature": signature}
    assert wanted.items() <= document.items()
    assert document["first_s"] < document["last_s"]
    assert ran.code == (0 if pem is None or signature == "valid" else 1)


def test_an_export_is_told_in_words(cli: Cli) -> None:
    ran = cli("keys", "inspect", SAMPLES / "ens_testExport.zip", "--public-key", SAMPLES / "ens_public.pem")
    assert ran.code == 0 and ran.err == ""
    assert "GAEN export: 2 keys, from 2020-05-20 03:20 to 2020-05-20 22:29 (Asia/Ho_Chi_Minh)." in ran.out
    assert "Region US, batch 1 of 1, signing key some_id version 1;" in ran.out
    assert "Signature: valid." in ran.out
    assert "from 2020-05-19 20:20" in cli("keys", "inspect", SAMPLES / "ens_testExport.zip", "--zone", "UTC").out


def test_everything_about_an_export_is_in_the_document(cli: Cli, tmp_path: Path) -> None:
    revised = key(rolling_start_interval_number=INTERVAL - 144, report_type=5)
    info = {"verification_key_id": "452", "verification_key_version": "v1", "signature_algorithm": "x"}
    content = export(key(), revised_keys=[revised], signature_infos=[info])
    path = tmp_path / "e.zip"
    path.write_bytes(zipped({"export.bin": content, "export.sig": signatures(signature_info=info)}))
    assert cli("keys", "inspect", path, "--json").document() == {
        "format": "gaen-export",
        "keys": 1,
        "revised": 1,
        "contacts": 0,
        "first_s": START_S - 86_400,
        "last_s": START_S + 86_399,
        "signature": "unverified",
        "digest": digest_of([of_gaen(KEY, START_S)]).hex(),  # the other one was taken back
        "region": "VN",
        "batch_num": 1,
        "batch_size": 1,
        "start_s": START_S,
        "end_s": START_S + 86_400,
        "signatures": 1,
        "signing_keys": [{"id": "452", "version": "v1", "algorithm": "x"}],
    }
    assert "1 key and 1 revised one, from" in cli("keys", "inspect", path).out


def test_an_invalid_signature_still_says_what_the_file_holds(cli: Cli) -> None:
    ran = cli("keys", "inspect", SAMPLES / "ens_testExport.zip", "--public-key", SAMPLES / "xam_SignedExample.pem")
    assert ran.code == 1 and "2 keys" in ran.out and "Signature: invalid." in ran.out
    assert "do not use it" in ran.err and len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["cases.json", "history.tsv", "int_app_export.bin"])
def test_who_gives_a_key_is_told_that_there_is_no_signature(cli: Cli, tmp_path: Path, name: str) -> None:
    write_case_list(tmp_path / "cases.json", [CaseKey(b"x" * 32, START_S, 96, START_S + 86_399)])
    write_history(tmp_path / "history.tsv", [HistoryLine(bytes(12), bytes(12), -50, START_S * 1000)])
    path = tmp_path / name if (tmp_path / name).exists() else SAMPLES / name
    ran = cli("keys", "inspect", path, "--public-key", SAMPLES / "ens_public.pem", "--json")
    assert ran.code == 1 and "no signature" in ran.err and ran.document()["signature"] == "unverified"


def test_a_case_list_is_told(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a name that says nothing"
    keys = [
        CaseKey(b"x" * 32, START_S, 96, START_S + 86_399),
        CaseKey(b"y" * 32, START_S - 86_400, 96, START_S + 2 * 86_400 - 1),
        CaseKey(b"z" * 32, START_S - 86_400, 96, START_S - 1),
    ]
    write_case_list(path, keys)
    assert cli("keys", "inspect", path, "--json").document() == {
        "format": "bluezone-case-list",
        "keys": 3,
        "revised": 0,
        "contacts": 0,
        "first_s": START_S - 86_400,
        "last_s": START_S + 2 * 86_400 - 1,
        "signature": "unverified",
        "digest": digest_of(keys).hex(),
    }
    assert key_digest.said(digest_of(keys)) in cli("keys", "inspect", path).out
    assert "Bluezone case list: 3 keys, from 2020-08-07 07:00 to" in cli("keys", "inspect", path).out


def test_a_key_has_the_same_digest_before_and_after_it_was_revised(cli: Cli, tmp_path: Path) -> None:
    digests = set()
    for content in (export(key()), export(key(), revised_keys=[key(report_type=1)]), export(revised_keys=[key()])):
        (tmp_path / "export.bin").write_bytes(content)
        digests.add(cli("keys", "inspect", tmp_path / "export.bin", "--json").document()["digest"])
    assert digests == {digest_of([of_gaen(KEY, START_S)]).hex()}


def test_a_list_that_stands_for_too_many_days_has_no_digest(cli: Cli, tmp_path: Path) -> None:
    entry = CaseKey(b"x" * 32, START_S, 1, START_S + 60 * 86_400)
    write_case_list(tmp_path / "cases.json", [entry] * 131)  # 5,761 keys each
    document = cli("keys", "inspect", tmp_path / "cases.json", "--json").document()
    assert document["keys"] == 131 and document["digest"] is None


def test_a_history_is_told(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    lines = [HistoryLine(bytes(12), KEY[:12], -50, (START_S + s) * 1000 + 999) for s in (600, 0, 60)]
    write_history(path, lines)
    document = cli("keys", "inspect", path, "--json").document()
    wanted = {"format": "bluezone-history", "keys": 0, "contacts": 3, "first_s": START_S, "last_s": START_S + 600}
    assert wanted.items() <= document.items()
    assert (
        "Contact history of a Bluezone phone: 3 contacts, from 2020-08-08 07:00 to" in cli("keys", "inspect", path).out
    )


def test_a_file_without_keys_has_no_times(cli: Cli, tmp_path: Path) -> None:
    write_case_list(tmp_path / "cases.json", [])
    (tmp_path / "export.bin").write_bytes(export())
    for name in ("cases.json", "export.bin"):
        document = cli("keys", "inspect", tmp_path / name, "--json").document()
        assert (document["keys"], document["first_s"], document["last_s"]) == (0, None, None)
        assert ": 0 keys." in cli("keys", "inspect", tmp_path / name).out


def test_no_answer_holds_a_key_or_an_id(cli: Cli, tmp_path: Path) -> None:
    write_case_list(tmp_path / "cases.json", [CaseKey(KEY * 2, START_S, 96, START_S)])
    write_history(tmp_path / "history.tsv", [HistoryLine(KEY[:12], KEY[:12], -50, START_S * 1000)])
    (tmp_path / "export.bin").write_bytes(export(key()))
    (tmp_path / "broken.bin").write_bytes(export(key(rolling_period=0)))
    (tmp_path / "broken.json").write_text(json.dumps({"data": [{"daily_key": KEY.hex() * 2, "max": 99}]}))
    (tmp_path / "broken.tsv").write_text(f"{KEY.hex()}\t{KEY.hex()}\t1\t2\n")
    said = ""
    for path in sorted(tmp_path.iterdir()):
        for form in ((), ("--json",)):
            ran = cli("keys", "inspect", path, *form)
            assert ran.code == (1 if path.name.startswith("broken") else 0)
            said += ran.out + ran.err
    assert KEY.hex()[:6] not in said.lower()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"hello\n", "no Bluezone case list, no Bluezone contact history and no GAEN export"),
        (b"\x00" * 100, "no Bluezone case list"),
        ((SAMPLES / "ens_public.pem").read_bytes(), "no Bluezone case list"),
        ((SAMPLES / "ens_keys.json").read_bytes(), 'not a case list: there is no list under "data"'),
        (b'{"data": [', "line 1: not JSON"),
        (b"PK\x03\x04 and then nothing", "the zip is damaged or of another kind"),
        (b"EK Export v2    ", "export.bin, byte 0"),
        (b"B9A6\t286B\t-61\t1596887000123\n", "line 1: the own ID is not 24 hex digits"),
        (export(key(), key(report_type=77)), "export.bin, byte "),
    ],
)
def test_a_file_that_is_none_is_told_in_one_sentence(cli: Cli, tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    ran = cli("keys", "inspect", path)
    assert (ran.code, ran.out) == (1, "") and problem in ran.err and str(path) in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_what_is_no_file_is_told(cli: Cli, tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero")):
        assert "this is no file" in cli("keys", "inspect", path).err
    ran = cli("keys", "inspect", tmp_path / "missing")
    assert ran.code == 1 and "no such file" in ran.err


def test_the_format_is_known_by_the_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'\xef\xbb\xbf\n {"data": []}')
    assert format_of(path) is KeyFormat.CASE_LIST
    path.write_bytes(b"not\ta history")
    assert format_of(path) is KeyFormat.HISTORY


def test_a_key_is_made_and_what_it_signs_is_valid(cli: Cli, tmp_path: Path) -> None:
    made = cli("keys", "sign-key", "--out", tmp_path / "province.pem", "--json").document()
    assert stat.S_IMODE(Path(made["signing_key"]).stat().st_mode) == 0o600
    signing_key = load_private_key(Path(made["signing_key"]))
    path = tmp_path / "export.zip"
    write_export(
        path,
        [GaenKey(KEY, INTERVAL)],
        region="VN",
        start_s=START_S,
        end_s=START_S + 86_400,
        private_key=signing_key,
        key_id="452",
        key_version="v1",
    )
    ran = cli("keys", "inspect", path, "--public-key", made["public_key"], "--json")
    assert ran.code == 0 and ran.document()["signature"] == "valid" and 1000 <= ran.document()["keys"] <= 1100
    again = cli("keys", "sign-key", "--out", tmp_path / "province.pem")
    assert again.code == 1 and "exists already" in again.err
    assert load_private_key(tmp_path / "province.pem").public_key() == signing_key.public_key()
    other = cli("keys", "sign-key", "--out", tmp_path / "other")
    assert other.code == 0 and "keep it secret" in other.out and (tmp_path / "other.public.pem").exists()


def test_a_key_that_cannot_be_written_leaves_nothing(cli: Cli, tmp_path: Path) -> None:
    ran = cli("keys", "sign-key", "--out", tmp_path / "no" / "key.pem")
    assert ran.code == 1 and "no such file" in ran.err and list(tmp_path.glob("**/*.pem*")) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no public key in PEM"),
        (b"\x00" * 10_000, "no public key in PEM"),
        ((SAMPLES / "ens_testExport.zip").read_bytes(), "no public key in PEM"),
        ((SAMPLES / "ens_public.pem").read_bytes()[:100], "no public key in PEM"),
        (ec.derive_private_key(7, ec.SECP256R1()).private_bytes(Encoding.PEM, PKCS8, NoEncryption()), "a secret key"),
        (ec.derive_private_key(7, ec.SECP384R1()).public_key().public_bytes(Encoding.PEM, SPKI), "another kind"),
        (ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, SPKI), "another kind"),
    ],
)
def test_a_public_key_that_is_none_is_told(cli: Cli, tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    ran = cli("keys", "inspect", SAMPLES / "ens_testExport.zip", "--public-key", path)
    assert (ran.code, ran.out) == (1, "") and problem in ran.err and len(ran.err.strip().splitlines()) == 1


def test_a_public_key_that_is_missing_is_told(cli: Cli, tmp_path: Path) -> None:
    ran = cli("keys", "inspect", SAMPLES / "ens_testExport.zip", "--public-key", tmp_path / "missing")
    assert ran.code == 1 and "cannot be read (no such file" in ran.err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no signing key in PEM"),
        ((SAMPLES / "ens_public.pem").read_bytes(), "holds a public key"),
        (
            ec.derive_private_key(7, ec.SECP256R1()).private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"x")),
            "passphrase",
        ),
        (ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PKCS8, NoEncryption()), "another kind"),
    ],
)
def test_a_signing_key_that_is_none_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(HomeError, match=problem):
        load_private_key(path)


def failing_lines() -> Any:
    yield HistoryLine(bytes(12), bytes(12), -50, START_S * 1000)
    raise FormatError(Path("source"), 2, "a line that cannot be read")


def test_a_history_is_written_whole_or_not_at_all_and_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "history.tsv"
    write_history(path, [HistoryLine(bytes(12), bytes(12), -50, START_S * 1000)] * 2)
    with pytest.raises(FormatError):
        write_history(path, failing_lines())
    assert len(list(read_history(path))) == 2 and list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_case_list_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(PrintError, match="cannot be written"):
        write_case_list(tmp_path / "folder", [CaseKey(b"x" * 32, START_S, 96, START_S)])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
