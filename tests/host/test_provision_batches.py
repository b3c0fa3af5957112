"""Running numbers and their check digits: none twice, none wrong unnoticed; what a batch holds, and its list."""

import csv
import io
import secrets
import threading
from datetime import UTC, timedelta, timezone
from itertools import islice
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from tests.program import Program

from bztoken.errors import RegistryError
from bztoken.formats.batch_csv import COLUMNS, batch_csv
from bztoken.home import Home
from bztoken.registry import batch_labels, events, provision_batches, tokens
from bztoken.registry.batch_labels import label_of
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import ProvisionBatch
from bztoken.registry.provision_batches import BatchOptions, BatchToken

NOW_S = 1_800_000_000
NUMBERS = st.integers(1, batch_labels.MAX_NUMBER)
PLACE = "Chợ Yên Bái"


def begun(registry: Registry, name: str = "morning", **options: object) -> ProvisionBatch:
    with registry.write() as session:
        return provision_batches.begin(session, name, BatchOptions(**options), NOW_S)  # type: ignore[arg-type]


def reserved(registry: Registry, batch: ProvisionBatch, is_done: bool = True, detail: str = "") -> str:
    with registry.write() as session:
        token = provision_batches.reserve(session, batch, secrets.token_bytes(8), "virtual", NOW_S)
        if is_done:
            token.state = tokens.STATE_ACTIVE
            events.record(session, token, events.PROVISIONED, NOW_S + 5, detail)
        return token.label


# -- labels -----------------------------------------------------------------------------------------------------------
def test_a_label_is_prefix_number_and_check_digit() -> None:
    assert [label_of("YB-", number) for number in (17, 1, 12345)] == ["YB-0017-4", "YB-0001-3", "YB-12345-9"]
    assert label_of("YB-", 572) == "YB-0572-4"  # the example of Damm's own text: 572 has the digit 4


@given(number=NUMBERS, place=st.integers(0, 6), digit=st.integers(0, 9))
def test_one_wrong_digit_is_always_noticed(number: int, place: int, digit: int) -> None:
    label = label_of("YB-", number)
    places = [at for at, letter in enumerate(label) if letter.isdigit()]
    at = places[place % len(places)]
    typed = f"{label[:at]}{digit}{label[at + 1 :]}"
    assert batch_labels.has_wrong_digit(typed) == (typed != label)


@given(number=NUMBERS, place=st.integers(0, 5))
def test_two_neighbours_that_changed_places_are_always_noticed(number: int, place: int) -> None:
    label = label_of("YB-", number)
    places = [at for at, letter in enumerate(label) if letter.isdigit()]
    one, other = places[place % (len(places) - 1)], places[place % (len(places) - 1) + 1]
    letters = list(label)
    letters[one], letters[other] = letters[other], letters[one]
    typed = "".join(letters)
    assert batch_labels.has_wrong_digit(typed) == (typed != label)


PREFIXES = st.from_regex(r"[A-Z]([A-Z0-9-]{0,4}[A-Z-])?", fullmatch=True).filter(lambda prefix: prefix != "P-")


@given(prefix=PREFIXES, number=NUMBERS)
def test_a_label_comes_apart_where_it_was_put_together(prefix: str, number: int) -> None:
    label = label_of(batch_labels.required_prefix(prefix), number)
    parts = batch_labels.parts(label)
    assert parts is not None and parts[0] == prefix and parts[1].startswith(f"{number:04d}-")
    assert not batch_labels.has_wrong_digit(label)


def test_no_token_is_named_as_people_are_numbered(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="how numbers of people begin"):
        begun(registry, prefix="P-")


@pytest.mark.parametrize("prefix", ["", "yb-", "YB1", "YB_", "Đ-", "-YB-", "=A-", "YB 1-", "TOOLONG", "7-", "YB-\n"])
def test_a_prefix_that_would_be_misread_is_refused(registry: Registry, prefix: str) -> None:
    with pytest.raises(RegistryError, match="capital letters A to Z, digits and hyphens"):
        begun(registry, prefix=prefix)
    with registry.read() as session:
        assert provision_batches.by_name(session, "morning") is None


def test_a_mistyped_label_gets_a_sentence_of_its_own(registry: Registry, cli: Program) -> None:
    label = reserved(registry, begun(registry, prefix="YB-"))
    for typed, said in (
        ("YB-0001-4", "a digit is wrong, look at the label again"),
        ("YB-0010-3", "a digit is wrong, look at the label again"),
        ("YB-0002-1", "no token of this registry has this label"),
        ("Bà An", "no token of this registry has this label"),
    ):
        ran = cli("token", "show", typed)
        assert (ran.code, ran.out) == (1, "") and said in ran.err
    assert cli("token", "show", label).code == 0


# -- numbers -----------------------------------------------------------------------------------------------------------
def test_numbers_run_on_over_batches_of_one_prefix(registry: Registry) -> None:
    one, other = begun(registry, "one", prefix="YB-"), begun(registry, "other", prefix="YB-")
    third = begun(registry, "third", prefix="LC-", first=5)
    given_out = [reserved(registry, batch) for batch in (one, other, one, third, other, third)]
    assert given_out == [label_of("YB-", 1), label_of("YB-", 2), label_of("YB-", 3), label_of("LC-", 5),
                         label_of("YB-", 4), label_of("LC-", 6)]  # fmt: skip


def test_a_number_is_free_again_only_when_its_token_never_had_keys(registry: Registry) -> None:
    batch = begun(registry, prefix="YB-")
    blank, pending, wiped = (reserved(registry, batch, is_done=False) for _ in range(3))
    with registry.write() as session:
        tokens.remove_unused(session, tokens.by_known_label(session, blank).uid)
        token = tokens.by_known_label(session, wiped)
        token.state = tokens.STATE_ACTIVE
        tokens.wiped(session, token, NOW_S)
    assert [reserved(registry, batch) for _ in range(2)] == [blank, label_of("YB-", 4)]
    assert pending == label_of("YB-", 2)


def test_a_label_that_somebody_gave_by_hand_is_passed_over(registry: Registry) -> None:
    batch = begun(registry, prefix="YB-")
    with registry.write() as session:
        tokens.create(session, label_of("YB-", 2), secrets.token_bytes(8), "person", "virtual", NOW_S)
    assert [reserved(registry, batch) for _ in range(2)] == [label_of("YB-", 1), label_of("YB-", 3)]


def test_the_last_number_is_the_last(registry: Registry) -> None:
    batch = begun(registry, prefix="YB-", first=batch_labels.MAX_NUMBER)
    assert reserved(registry, batch) == label_of("YB-", batch_labels.MAX_NUMBER)
    with pytest.raises(RegistryError, match="used up"):
        reserved(registry, batch)


def test_two_programs_never_give_one_number_twice(registry: Registry, home: Home) -> None:
    batches = [begun(registry, name, prefix="YB-") for name in ("one", "other")]
    given_out: list[str] = []

    def work(batch: ProvisionBatch) -> None:
        with open_registry(home) as own:
            given_out.extend(reserved(own, batch) for _ in range(25))

    threads = [threading.Thread(target=work, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given_out) == [label_of("YB-", number) for number in range(1, 51)]


# -- a batch -----------------------------------------------------------------------------------------------------------
def test_a_batch_goes_on_with_what_it_was_begun_with(registry: Registry) -> None:
    first = begun(registry, prefix="YB-", first=7, role="site", place=PLACE, profile="continuous", scheme="gaen")
    again = begun(registry, " morning ")
    assert again.id == first.id
    same = begun(registry, prefix="YB-", first=7, role="site", place=PLACE, profile="continuous", scheme="gaen")
    assert same.id == first.id and (same.by, same.started_s) == (events.operator()[:80], NOW_S)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prefix": "LC-"}, "begun with --prefix YB-, now it is LC-"),
        ({"first": 8}, "begun with --first 7, now it is 8"),
        ({"role": "person"}, "begun with --role site, now it is person"),
        ({"place": "Chợ Lào Cai"}, "begun with --place Chợ Yên Bái, now it is Chợ Lào Cai"),
        ({"profile": "windowed"}, "begun with --profile nothing, now it is windowed"),
        ({"scheme": "gaen"}, "begun with --scheme nothing, now it is gaen"),
    ],
)
def test_other_options_than_the_first_time_are_refused(
    registry: Registry, options: dict[str, object], said: str
) -> None:
    begun(registry, prefix="YB-", first=7, role="site", place=PLACE)
    with pytest.raises(RegistryError, match=said):
        begun(registry, **options)


@pytest.mark.parametrize("options", [{"role": "site"}, {"place": PLACE}, {"role": "person", "place": PLACE}])
def test_a_site_has_a_place_and_a_person_has_none(registry: Registry, options: dict[str, object]) -> None:
    with pytest.raises(RegistryError, match="a site has a place, and a person has none"):
        begun(registry, **options)


def test_a_batch_holds_what_has_proven_its_keys_and_was_not_wiped_since(registry: Registry) -> None:
    batch = begun(registry, prefix="YB-", role="site", place=PLACE)
    labels = [
        reserved(registry, batch, detail=provision_batches.in_detail("0.4.0", "continuous", "bluezone")),
        reserved(registry, batch, detail=provision_batches.in_detail("0.1.0", None, None)),
        *(reserved(registry, batch, is_done) for is_done in (True, False, False)),
    ]
    with registry.write() as session:
        first, second, third, _, never = (tokens.by_known_label(session, label) for label in labels)
        events.record(session, first, events.UPDATED, NOW_S + 9, "0.5.0")
        tokens.revoke(session, second, NOW_S, "lost")
        tokens.wiped(session, third, NOW_S)
        tokens.revoke(session, never, NOW_S, "other")
    with registry.read() as session:
        assert provision_batches.tokens_of(session, batch) == [
            BatchToken(1, labels[0], "site", PLACE, "virtual", "0.4.0", "continuous", "bluezone", NOW_S + 5),
            BatchToken(2, labels[1], "site", PLACE, "virtual", "0.1.0", "", "", NOW_S + 5),
        ]
        assert provision_batches.unfinished(session, batch) == [labels[3]]


# -- its list ----------------------------------------------------------------------------------------------------------
def test_the_list_is_read_back_as_it_was(registry: Registry) -> None:
    made = BatchToken(17, "YB-0017-4", "site", f'{PLACE}, cổng "A"\nđông', "m5", "0.4.0", "continuous", "gaen", NOW_S)
    content = batch_csv([made], timezone(timedelta(hours=7)))
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert rows == [
        list(COLUMNS),
        ["17", "YB-0017-4", "site", made.place, "m5", "0.4.0", "continuous", "gaen", "2027-01-15T15:00:00+07:00"],
    ]


@pytest.mark.parametrize("place", ["=HYPERLINK(1)", "+84 1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(place: str) -> None:
    made = BatchToken(1, "YB-0001-3", "site", place, "", "", "", "", NOW_S)
    rows = list(csv.reader(io.StringIO(batch_csv([made], UTC).decode("utf-8-sig"), newline="")))
    assert rows[1][3] == f"'{place}"


def test_nothing_secret_is_in_the_list(registry: Registry, home: Home) -> None:
    batch = begun(registry, prefix="YB-")
    label = reserved(registry, batch)
    with registry.read() as session:
        uid = tokens.by_known_label(session, label).uid
        content = batch_csv(provision_batches.tokens_of(session, batch), UTC)
    assert uid not in content and uid.hex().encode() not in content.lower()


# -- bztoken labels ----------------------------------------------------------------------------------------------------
def read_codes(path: Path) -> list[str]:
    pages = pypdfium2.PdfDocument(path.read_bytes())
    return sorted(code.text for page in pages for code in zxingcpp.read_barcodes(page.render(scale=4).to_pil()))


def test_labels_are_printed_again_and_beforehand(registry: Registry, cli: Program, tmp_path: Path) -> None:
    batch = begun(registry, "Sáng thứ ba", prefix="YB-")
    labels = [reserved(registry, batch) for _ in range(3)]
    out = tmp_path / "labels.pdf"
    assert cli("labels", "--batch", "Sáng thứ ba", "--out", out, "--skip", 2).code == 0
    assert read_codes(out) == labels
    again = cli("labels", "--label", labels[1], "--out", out, "--sheet", "roll-40x20", "--json")
    assert again.document() == {"labels": [labels[1]], "out": str(out)} and read_codes(out) == [labels[1]]
    assert cli("labels", "--prefix", "YB-", "--count", 4, "--out", out).code == 0
    to_come = read_codes(out)
    assert to_come == [label_of("YB-", number) for number in (4, 5, 6, 7)]
    assert [reserved(registry, batch) for _ in range(4)] == to_come
    with registry.read() as session:
        assert list(islice(provision_batches.free_numbers(session, "YB-", 1), 2)) == [8, 9]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["labels.pdf"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--batch nothing", 1, "no batch of this registry has this name; there are: empty\n"),
        ("--batch empty", 1, "nothing to print"),
        ("--label YB-0001-4", 1, "a digit is wrong"),
        ("--prefix yb", 1, "a prefix has at most"),
        ("--batch empty --prefix YB-", 2, "say one of --batch, --label and --prefix"),
        ("", 2, "say one of --batch, --label and --prefix"),
        ("--prefix YB- --sheet A4", 1, "there is no sheet A4: choose one of 70x37"),
        ("--prefix YB- --skip 24", 1, "has 24 places"),
        ("--prefix YB- --count 0", 2, "--count"),
    ],
)
def test_labels_that_cannot_be_printed_are_told(
    registry: Registry, cli: Program, tmp_path: Path, words: str, code: int, said: str
) -> None:
    begun(registry, "empty")
    out = tmp_path / "labels.pdf"
    out.write_bytes(b"as it was")
    ran = cli("labels", "--out", out, *words.split())
    assert (ran.code, ran.out) == (code, "") and said in ran.err
    assert out.read_bytes() == b"as it was" and [path.name for path in tmp_path.iterdir() if path.is_file()] == [
        out.name
    ]


def test_a_file_that_cannot_be_written_is_told(registry: Registry, cli: Program, tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "no" / "l.pdf", "no such file"),
        (tmp_path, "is no file"),
        (Path("/proc/l.pdf"), "cannot be written"),
        (tmp_path / f"{'l' * 300}.pdf", "file name too long"),
    ):
        ran = cli("labels", "--prefix", "YB-", "--out", path)
        assert (ran.code, len(ran.err.splitlines())) == (1, 1) and said in ran.err
