"""The preset files: they load, say where they are from, are the published numbers, and wrong ones are refused."""

from pathlib import Path

import pytest
import yaml
from tests.host.scoring_rows import rows_at

from bztoken import scoring
from bztoken.errors import FormatError, ScoringError
from bztoken.scoring import preset_files, preset_numbers
from bztoken.scoring.cwa import Cwa
from bztoken.scoring.weighted import WeightedWindows

RISK = Path(__file__).parent.parent / "data" / "risk"
NAMES = ["bluezone", "cwa-1.15", "cwa-1.9", "lfph-narrow-v2", "lfph-wide", "swisscovid"]


def test_the_presets_are_these_and_bluezone_is_the_default() -> None:
    assert scoring.names() == NAMES
    assert NAMES[0] == scoring.DEFAULT


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_says_what_it_is_where_it_is_from_and_scores(name: str) -> None:
    preset = scoring.load(name)
    assert (preset.name, preset.version) == (name, 1)
    assert preset.about.sources
    assert all(len(value) > 3 for value in preset_numbers.of(preset).values())
    scored = preset.score(rows_at(40, 12))
    assert (scored.minutes, scored.windows, scored.band, scored.verdict) == (60, 12, "near", "F1")
    assert preset.score(rows_at(95, 12)).verdict == "noted"


@pytest.mark.parametrize(
    ("name", "bounds_db", "weights"),
    [
        ("swisscovid", (50, 55), (1, 0.5, 0)),
        ("lfph-narrow-v2", (55, 67, 75), (1.75, 1, 0.33, 0)),
        ("lfph-wide", (55, 70, 80), (2, 1, 0.25, 0)),
    ],
)
def test_the_weighing_presets_have_the_published_numbers(
    name: str, bounds_db: tuple[int, ...], weights: tuple[float, ...]
) -> None:
    preset = scoring.load(name)
    assert isinstance(preset, WeightedWindows)
    assert (preset.bounds_db, preset.weights) == (bounds_db, weights)


def test_both_lfph_nets_have_one_curve_of_infectiousness() -> None:
    narrow, wide = scoring.load("lfph-narrow-v2"), scoring.load("lfph-wide")
    assert isinstance(narrow, WeightedWindows)
    assert isinstance(wide, WeightedWindows)
    assert narrow.infectiousness == wide.infectiousness


@pytest.mark.parametrize(("name", "suffix"), [("cwa-1.15", "-1.15"), ("cwa-1.9", "")])
def test_the_corona_warn_app_presets_are_the_servers_parameters(name: str, suffix: str) -> None:
    published = yaml.safe_load((RISK / f"cwa-server_risk-calculation-parameters{suffix}.yaml").read_text())
    preset = scoring.load(name)
    assert isinstance(preset, Cwa)
    found = preset.configuration
    assert [(span.low, span.high, weight) for span, weight in found.weights] == [
        (entry["attenuation-range"]["min"], entry["attenuation-range"]["max"], entry["weight"])
        for entry in published["minutes-at-attenuation-weights"]
    ]
    for ours, theirs in ((found.window_levels, "e-w"), (found.day_levels, "day")):
        assert [(span.low, span.high, span.high_exclusive, level) for span, level in ours] == [
            (*(entry["normalized-time-range"].get(key, False) for key in ("min", "max", "max-exclusive")), level)
            for entry in published[f"normalized-time-per-{theirs}-to-risk-level-mapping"]
            for level in [entry["risk-level"]]
        ]
    assert found.risk_multiplier == published["transmission-risk-level-multiplier"]
    assert len(found.minutes_filters) == len(published["minutes-at-attenuation-filters"])
    assert len(found.risk_filters) == len(published["trl-filters"])
    encoding = published["trlEncoding"]
    assert found.encoding.infectiousness == {1: encoding["infectiousnessOffsetStandard"], 2: 2}
    assert found.encoding.reports[1] == encoding["reportTypeOffsetConfirmedTest"]
    assert f":{preset.about.max_age_days}}}" in published["max-encounter-age-in-days"]


def test_a_preset_that_nobody_has_is_refused_by_name() -> None:
    with pytest.raises(ScoringError, match="There is no preset 'strict': give one of bluezone, cwa-1.15"):
        scoring.load("strict")


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (preset_files.FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_of_a_preset_file_is_the_same_preset(name: str, tmp_path: Path) -> None:
    assert preset_files.read(changed(tmp_path, name, "version", "version")) == scoring.load(name)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("bluezone", "near_max_db = 55", "near_max_db = 80", "middle_max_db: it is not above near_max_db"),
        ("bluezone", "near_max_db = 55", "near_max_db = '55'", 'near_max_db: "55" is no number'),
        ("bluezone", "near_max_db = 55\n", "", "near_max_db: it is missing"),
        ("bluezone", "near_max_db", "nearest_max_db", "near_max_db: it is missing"),
        ("bluezone", "version = 1", "version = 0", "version: 0 is below 1"),
        ("bluezone", 'kind = "bluezone"', 'kind = "guess"', "kind: it is none of bluezone, weighted-windows, cwa"),
        ("bluezone", 'name = "bluezone"', 'name = "red-zone"', "name: it is not the name of the file"),
        ("bluezone", "= 55", "= = 55", "no TOML: "),
        ("swisscovid", "[50, 55]", "[55, 50]", "bounds_db: they do not rise"),
        ("swisscovid", "[1, 0.5, 0]", "[1, 0]", "weights: there is one for each bound"),
        ("swisscovid", "[1, 0.5, 0]", "[1, 0.5, 0.1]", "weights: the nearest counts something"),
        ("swisscovid", "[1, 0.5, 0]", "[3, 0.5, 0]", r"weights\[0\]: 3 is above 2.5"),
        ("swisscovid", '"F1"', '"noted"', "levels: none of them makes an F1"),
        ("lfph-wide", "from_minutes = 5", "from_minutes = 15", "levels: from_minutes does not rise"),
        ("lfph-wide", "[-4, -3, 4, 5]", "[-4, 0]", "infectiousness: a day is both standard and high"),
        ("lfph-wide", "[-4, -3, 4, 5]", "[-15]", r"standard_days\[0\]: -15 is below -14"),
        ("cwa-1.15", "infectiousnessOffsetHigh = 2", "", "trlEncoding: infectiousnessOffsetHigh is missing"),
        ("cwa-1.15", "min = 63, ", "", "weight 2, attenuationRange: min is missing"),
        ("cwa-1.15", "riskLevel = 2", "riskLevel = 3", "level 2: riskLevel is 3, and is at most 2"),
    ],
)
def test_a_wrong_preset_file_is_told_in_one_sentence(
    name: str, old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=sentence):
        preset_files.read(changed(tmp_path, name, old, new))
