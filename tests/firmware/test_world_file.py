"""World files: options of carriers, crowds, stops that repeat, defaults - and the worlds that come with the board."""

from pathlib import Path

import pytest

from bzvirtual import world
from bzvirtual.errors import WorldError
from bzvirtual.world import DAY_S, Options, World
from bzvirtual.world_file import parse

HEAD = """
world hamlet
place home 0 0 indoor
place well 30 40 outdoor
spot home bed 0 0
spot well rim 0 0
"""
AN = 'person an "Bà An" token'
STOP = "\n  05:00 home/bed\n"
BAD_LINES = [
    ("profile sleepy", "profile is continuous or windowed"),
    ("scheme dp3t", "scheme is bluezone or gaen"),
    (f"{AN} profile=sleepy", "profile is"),
    (f"{AN} scheme=", "scheme is"),
    (f"{AN} hear=all", "hear is own or both"),
    (f"{AN} role=thief", "role is person or site"),
    (f"{AN} drift_ppm=x", "'x' is not a number"),
    (f"{AN} drift_ppm=nan", "'nan' is not a number"),
    (f"{AN} drift_ppm=300000", "drift is at most"),
    (f"{AN} offset_s=soon", "'soon' is not a number"),
    (f"{AN} jump=25:00:3", "'25:00' is not a time of day"),
    (f"{AN} jump=09:00:far", "'far' is not a number"),
    (f"{AN} colour=red", "unknown option 'colour'"),
    (f"{AN} foreground=no", "does not fit a token"),
    ('person em "Em" phone profile=windowed', "does not fit a phone"),
    ('person em "Em" iphone offset_s=1', "does not fit a iphone"),
    ('person em "Em" iphone foreground=maybe', "foreground is yes or no"),
    ('person a/b "Em" phone', "no slash"),
    ("crowd many 0 beacon home 5", "a crowd has 1 to"),
    ("crowd many some beacon home 5", "a crowd has 1 to"),
    ("crowd many 5 beacon moon 5", "there is no place 'moon'"),
    ("crowd many 5 watch home 5", "a person carries"),
    ("crowd many 5 beacon home", "'crowd' takes 5 words"),
    ("crowd an 5 beacon home 5 offset_s=1", "does not fit a beacon"),
    ("  06:00 home/bed every 0 until 08:00", "repeats every minute or less often"),
    ("  06:00 home/bed every 10 until 05:00", "repeats every minute or less often"),
    ("  06:00 home/bed every 10", "under a person"),
    ("  06:00 home/bed each 10 until 07:00", "under a person"),
]


def of(text: str) -> World:
    return parse("hamlet.world", HEAD + text)


@pytest.mark.parametrize(("line", "complaint"), BAD_LINES)
def test_a_bad_line_is_named_by_its_number(line: str, complaint: str) -> None:
    text = 'person cu "Bà Cư" token' + STOP + line + "\n"
    with pytest.raises(WorldError) as error:
        of(text)
    assert complaint in str(error.value)
    assert f"hamlet.world, line {len((HEAD + text).splitlines())}:" in str(error.value)


def test_options_are_read_and_absent_ones_leave_the_boards_default() -> None:
    made = of(
        f"{AN} profile=windowed scheme=gaen hear=both drift_ppm=-50 offset_s=1.5 jump=09:30:-120 jump=10:00:reset"
        + STOP
        + 'person em "Em" iphone foreground=no'
        + STOP
        + 'person cu "Bà Cư" token'
        + STOP
    )
    an, em, cu = (person.options for person in made.people)
    jumps = ((9 * 3600 + 1800, -120.0), (10 * 3600, None))
    assert an == Options("windowed", "gaen", "both", "person", -50, 1.5, jumps)
    assert em == Options(foreground=False)
    assert cu == Options()


def test_a_site_is_a_token_with_that_role() -> None:
    made = of('person gate "Cổng" site hear=both' + STOP + f"{AN} role=site" + STOP)
    assert [person.carries for person in made.token_carriers()] == ["token", "token"]
    assert [person.options.role for person in made.people] == ["site", "site"]
    assert made.people[0].options.hear == "both"


def test_defaults_hold_for_tokens_that_say_nothing_wherever_they_stand_in_the_file() -> None:
    made = of(
        f"{AN} profile=continuous"
        + STOP
        + 'person cu "Bà Cư" token'
        + STOP
        + 'person em "Em" phone'
        + STOP
        + "profile windowed\nscheme gaen\n"
    )
    assert [(person.options.profile, person.options.scheme) for person in made.people] == [
        ("continuous", "gaen"),
        ("windowed", "gaen"),
        ("", ""),
    ]


def test_settings_from_outside_go_over_those_of_the_world_and_touch_tokens_alone() -> None:
    made = of(f"{AN} profile=continuous scheme=gaen" + STOP + 'person em "Em" phone' + STOP)
    changed = made.with_settings("windowed", "")
    assert [(person.options.profile, person.options.scheme) for person in changed.people] == [
        ("windowed", "gaen"),
        ("", ""),
    ]
    assert made.people[0].options.profile == "continuous"


def test_a_stop_that_repeats_comes_as_often_as_it_says() -> None:
    made = of(f"{AN}\n  00:30 well/rim every 60 until 23:30\n  00:00 home/bed every 60 until 23:00\n")
    stops = made.people[0].stops
    assert [at_s for at_s, _ in stops] == list(range(0, DAY_S, 1800))
    assert [where.place for _, where in stops] == ["home", "well"] * 24


def test_a_crowd_stands_within_its_radius_each_at_a_place_of_its_own_and_the_same_in_every_run() -> None:
    text = f"{AN}{STOP}crowd passer 200 beacon well 12\n"
    first, second = of(text), of(text)
    assert first == second
    crowd = [person for person in first.people if person.carries == "beacon"]
    where = [first.position(person, 1000.0) for person in crowd]
    centre = world.Position(30, 40, "well", False)
    distances_m = [position.distance_m(centre) for position in where]
    assert len({(position.x_m, position.y_m) for position in where}) == 200
    assert max(distances_m) <= 12
    assert sum(distance_m > 6 for distance_m in distances_m) > 100  # spread over the area, not heaped at the centre


def test_a_doubled_token_keeps_its_options_and_without_a_number_a_world_stays_as_it_is() -> None:
    made = of(f"{AN} profile=windowed" + STOP)
    assert world.crowd(None, made) is made
    assert [person.options.profile for person in world.crowd(3, made).people] == ["windowed"] * 3


def test_every_world_says_what_it_is_for() -> None:
    expected = ["bus", "crowd", "drift", "household", "instep", "iphones", "market", "phones", "queue", "village"]
    assert world.names() == expected
    for path in world.WORLDS.glob("*.world"):
        assert path.read_text().startswith("# "), path.name


@pytest.mark.parametrize("name", [Path(path).stem for path in sorted(world.WORLDS.glob("*.world"))])
def test_walks_of_a_world_end_before_the_next_stop(name: str) -> None:
    """Somebody who is still on the way when the next stop comes would leap to where the walk should have ended."""
    place = world.load(name)
    for person in place.people:
        for (since_s, origin), (at_s, target), (next_s, _) in zip(
            person.stops[-1:] + person.stops, person.stops, person.stops[1:] + person.stops[:1], strict=False
        ):
            walk_s = origin.distance_m(target) / world.WALK_M_PER_S
            assert walk_s <= ((next_s - at_s) % DAY_S or DAY_S), (person.name, since_s, at_s)


def test_a_track_is_where_a_person_is_at_any_time() -> None:
    made = of(f"{AN}\n  05:00 well/rim\n  21:00 home/bed\n")
    an = made.people[0]
    points = made.track(an, 0, 2 * DAY_S)
    assert len(points) < 20
    for (from_s, x_m, y_m), (to_s, to_x_m, to_y_m) in zip(points, points[1:], strict=False):
        if to_s > from_s:
            middle = made.position(an, (from_s + to_s) / 2)
            assert (middle.x_m, middle.y_m) == pytest.approx(((x_m + to_x_m) / 2, (y_m + to_y_m) / 2), abs=1e-6)
    assert (points[0][0], points[-1][0]) == (0, 2 * DAY_S)
