"""`bztoken report rollout`: workbook, pages, CSV and JSON tell the same figures, in two languages, and name nobody."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import openpyxl
import pypdfium2
import pytest
from tests.host.reported_clinic import NOW_S, SECRETS, TODAY, Clinic
from tests.program import Program

from bztoken import token_life
from bztoken.home import Home
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import AuditEntry
from bztoken.registry.sites import Kind
from bztoken.report import rollout_words
from bztoken.report.rollout_words import Language, words_in

FORMULA = "=1+1 Hội"


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: float(NOW_S))


@pytest.fixture
def clinic(home: Home) -> Home:
    """Three people with tokens, one of them lost, a market, a case with its contact reached after two hours."""
    create_registry(home)
    with open_registry(home) as registry, registry.write() as session:
        made = Clinic(session)
        made.commune("Xã Yên Bình", 1500)
        made.commune("Xã Thác Bà")
        lan = made.token("T-0001", made.person(SECRETS[0], 1940, agency=FORMULA))
        made.synced(lan, 1, battery=2)
        made.token("T-0002", made.person("Trần Văn Kín", 1990, "Xã Thác Bà", FORMULA))
        lost = made.token("T-0003", made.person("Lê Thị Thầm", 1941))
        token_life.lose(session, lost, NOW_S)
        made.site_token("T-0004", "Chợ Ngầm", Kind.MARKET, "Xã Thác Bà")
        made.contact(made.case("F0-mật", 30), lan, 1, 2)
    return home


def rows(out: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(out.read_bytes().decode("utf-8-sig"))))


def pages(out: Path) -> list[str]:
    document = pypdfium2.PdfDocument(out)
    return [" ".join(page.get_textpage().get_text_bounded().split()) for page in document]


def cells(out: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {sheet.title: list(sheet.values) for sheet in openpyxl.load_workbook(out)}


def test_the_csv_has_a_line_a_unit_and_the_cases_in_the_last(cli: Program, clinic: Home, tmp_path: Path) -> None:
    out = tmp_path / "report.csv"
    ran = cli("report", "rollout", "--out", out, "--lang", "en")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"Wrote {out}: tokens issued 4, active 1, lost 1; cases 1, F1 1, F2 0.\n"
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")
    heading, *lines = rows(out)
    by_name = {line[1] or line[0]: dict(zip(heading, line, strict=True)) for line in lines}
    assert [line[0] for line in lines] == ["By commune"] * 2 + ["By agency"] * 2 + ["By kind of site", "Total"]
    home = by_name["Xã Yên Bình"]
    assert (home["Issued"], home["Lost"], home["Battery weak"], home["Coverage (%)"]) == ("2", "1", "1", "0")
    assert (by_name["Xã Thác Bà"]["Coverage (%)"], by_name["market"]["Issued"]) == ("", "1")
    assert by_name["Total"]["Cases (F0) confirmed"] == "1"
    assert by_name["Total"]["Hours from recording a case to reaching its last F1 or F2: longest"] == "2"
    assert by_name["Xã Yên Bình"]["Cases (F0) confirmed"] == ""
    assert f"'{FORMULA}" in by_name


def test_the_workbook_has_numbers_with_formats_frozen_headings_and_charts(
    cli: Program, clinic: Home, tmp_path: Path
) -> None:
    out = tmp_path / "report.xlsx"
    assert cli("report", "rollout", "--out", out).code == 0
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == [
        "Tổng hợp",
        "Theo xã, phường",
        "Theo đơn vị",
        "Theo loại địa điểm",
        "Ca bệnh và truy vết",
        "Giải thích",
    ]
    communes = book["Theo xã, phường"]
    heading = [cell.value for cell in communes[1]]
    coverage, over60 = communes.cell(3, heading.index("Độ bao phủ") + 1), heading.index("Người từ 60 tuổi") + 1
    assert (communes.cell(3, 1).value, coverage.value, coverage.number_format) == ("Xã Yên Bình", 1 / 1500, "0.0%")
    assert (communes.cell(3, over60).value, communes.cell(3, over60).number_format) == (1500, "#,##0")
    assert communes.cell(2, over60).value == "chưa có số liệu"
    assert communes.freeze_panes == "B2"
    assert (communes.column_dimensions["A"].width or 0) > 20
    assert [len(sheet._charts) for sheet in book] == [1, 1, 0, 0, 0, 0]
    assert [row[0] for row in book["Theo đơn vị"].iter_rows(values_only=True)][1:3] == [FORMULA, "(chưa ghi)"]
    assert not any(cell.data_type == "f" for sheet in book for row in sheet for cell in row)


def test_the_pages_are_numbered_dated_and_explain_each_column(cli: Program, clinic: Home, tmp_path: Path) -> None:
    out = tmp_path / "report.pdf"
    assert cli("report", "rollout", "--out", out, "--from", "2026-11-01").code == 0
    found = pages(out)
    assert all(f"Trang {number}/{len(found)}" in page for number, page in enumerate(found, start=1))
    assert "từ ngày 01/11/2026 đến hết ngày 24/11/2026" in found[0]
    assert "Độ bao phủ người từ 60 tuổi trở lên theo xã, phường" in " ".join(found)
    for column in words_in(Language.VIETNAMESE).columns.values():
        assert column["meaning"] in found[-1]


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("suffix", ["csv", "xlsx", "pdf"])
def test_no_file_names_a_person_a_token_a_site_or_a_case(
    cli: Program, clinic: Home, tmp_path: Path, suffix: str, language: Language
) -> None:
    out = tmp_path / f"report.{suffix}"
    assert cli("report", "rollout", "--out", out, "--lang", language).code == 0
    read = {"csv": rows, "xlsx": cells, "pdf": pages}[suffix]
    said = str(read(out))
    assert "Xã Yên Bình" in said
    for secret in (*SECRETS, "Kín", "Thầm", "T-000", "Ngầm", "F0-mật", "P-000"):
        assert secret not in said


def test_the_document_has_the_same_keys_in_every_language(cli: Program, clinic: Home) -> None:
    ran = cli("report", "rollout", "--json")
    document = ran.document()
    assert (document["file"], document["day"], document["from"], document["to"]) == (None, TODAY, None, TODAY)
    assert (document["total"]["issued"], document["total"]["coverage"]) == (4, 1 / 1500)
    assert document["communes"][0] == document["communes"][0] | {"name": "Xã Thác Bà", "issued": 2, "coverage": None}
    assert document["site_kinds"][0]["name"] == "market"
    assert document["tracing"]["speed"]["longest_hours"] == 2
    assert cli("report", "rollout", "--json", "--lang", "en").document() == document | {"language": "en"}
    assert all(secret not in ran.out for secret in SECRETS)


def test_without_a_file_it_is_shown(cli: Program, clinic: Home) -> None:
    shown = cli("report", "rollout", "--lang", "en").out
    assert "Results of the roll-out" in shown
    assert "Hours from recording a case to reaching its last F1: longest: 2.0" in shown


def test_an_empty_registry_makes_every_file(cli: Program, home: Home, tmp_path: Path) -> None:
    create_registry(home)
    for suffix in ("csv", "xlsx", "pdf"):
        assert cli("report", "rollout", "--out", tmp_path / f"report.{suffix}").code == 0
    assert "chưa vẽ được biểu đồ" in " ".join(pages(tmp_path / "report.pdf"))


def test_looks_and_files_are_in_the_audit_and_a_refused_file_is_not(cli: Program, clinic: Home, tmp_path: Path) -> None:
    cli("report", "rollout")
    cli("report", "rollout", "--out", tmp_path / "report.pdf")
    assert cli("report", "rollout", "--out", tmp_path / "no folder" / "report.pdf").code == 1
    with open_registry(clinic) as registry, registry.read() as session:
        found = session.query(AuditEntry).where(AuditEntry.what == "report").order_by(AuditEntry.id).all()
    assert [(entry.action, entry.detail) for entry in found] == [
        ("look", f"roll-out of {TODAY}"),
        ("export", f"roll-out of {TODAY} as pdf"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--out", "report.doc"), 1, "does not say in which format"),
        (("--day", "24/11/2026"), 2, "no day like 2026-11-24"),
        (("--day", "2026-11-25"), 1, "yet to come"),
        (("--day", "2026-01-01"), 1, "give a day from 2026-11-17 on"),
        (("--from", "2026-11-24", "--to", "2026-11-20"), 1, "before it begins"),
        (("--lang", "fr"), 2, "--lang"),
    ],
)
def test_what_makes_no_report_is_told_in_a_sentence(
    cli: Program, clinic: Home, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ran = cli("report", "rollout", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert says in " ".join(ran.err.replace("│", " ").split())


def test_a_file_that_cannot_be_written_leaves_the_old_one(cli: Program, clinic: Home, tmp_path: Path) -> None:
    folder = tmp_path / "report.csv"
    folder.mkdir()
    ran = cli("report", "rollout", "--out", folder)
    assert (ran.code, ran.out) == (1, "")
    assert "is no file" in ran.err
    assert os.listdir(folder) == []


def test_letters_without_a_glyph_are_refused_in_a_pdf_and_leave_the_old_file(
    cli: Program, clinic: Home, tmp_path: Path
) -> None:
    with open_registry(clinic) as registry, registry.write() as session:
        Clinic(session).commune("Xã 漢")
    out = tmp_path / "report.pdf"
    out.write_bytes(b"old")
    ran = cli("report", "rollout", "--out", out)
    assert (ran.code, out.read_bytes()) == (1, b"old")
    assert "letters that the typeface lacks" in ran.err
    assert cli("report", "rollout", "--out", tmp_path / "report.xlsx").code == 0


def test_both_languages_have_the_same_words() -> None:
    def keys(words: object, before: str = "") -> set[str]:
        if not isinstance(words, dict):
            return {before}
        return {found for key, value in words.items() for found in keys(value, f"{before}.{key}")}

    english, vietnamese = (rollout_words._file()[language] for language in ("en", "vi"))
    assert keys(english) == keys(vietnamese)
