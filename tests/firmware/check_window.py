"""What a window keeps, checked by the same file on CPython and MicroPython. Argument: the folder of the packages."""

import sys

sys.path.insert(0, sys.argv[1])
if sys.implementation.name != "micropython":
    sys.modules["micropython"] = type(sys)("micropython")
    sys.modules["micropython"].const = lambda value: value

from bzfw.window import Window  # noqa: E402 - the path comes first
from bzwire.page_format import KIND_BLUEZONE, MAX_RECORDS  # noqa: E402

START_S = 1796083200


def rotating_id(number):
    return number.to_bytes(12, "big")


def opened():
    window = Window(12)
    window.begin(START_S)
    window.begin_scan()
    return window


def records_of(window):
    return list(window.records())


def numbers(window):
    return [int.from_bytes(record.rotating_id, "big") for record in records_of(window)]


def check_first_and_last_packet():
    window = opened()
    for second in (7, 60, 299):
        window.add(START_S + second, KIND_BLUEZONE, rotating_id(1), -60, 3)
    (record,) = records_of(window)
    assert (record.first_s, record.last_s, record.packets, record.scans) == (7, 299, 3, 1)
    assert (record.rotating_id, record.tx_power_dbm) == (rotating_id(1), 3)


def check_scans_are_counted_once_each():
    window = opened()
    for _ in range(4):
        window.add(START_S, KIND_BLUEZONE, rotating_id(1), -60, 0)
        window.add(START_S + 1, KIND_BLUEZONE, rotating_id(1), -60, 0)
        window.begin_scan()
    window.begin_scan()  # nothing heard in these two
    window.add(START_S + 2, KIND_BLUEZONE, rotating_id(1), -60, 0)
    assert records_of(window)[0].scans == 5
    assert records_of(window)[0].packets == 9


def check_mean_is_rounded_to_the_nearest():
    for values, mean in (
        ((-60, -61, -61), -61),
        ((-60, -60, -61), -60),
        ((-100, -101), -100),
        ((-5,), -5),
        ((3, 4, 4), 4),
    ):
        window = opened()
        for value in values:
            window.add(START_S, KIND_BLUEZONE, rotating_id(1), value, 0)
        (record,) = records_of(window)
        assert (record.rssi_mean_dbm, record.rssi_max_dbm) == (mean, max(values)), values


def check_strongest_are_kept():
    window = opened()
    order = [(n * 37) % 100 for n in range(100)]
    for at_s, number in enumerate(order):
        window.add(START_S + at_s, KIND_BLUEZONE, rotating_id(number), number - 110, 0)
    assert window.is_crowded()
    kept = numbers(window)
    assert sorted(kept) == list(range(100 - MAX_RECORDS, 100))
    assert kept == [number for number in order if number >= 100 - MAX_RECORDS]  # in the order of first hearing


def check_a_crowd_of_300_is_bounded():
    window = opened()
    for number in range(300):
        window.add(START_S, KIND_BLUEZONE, rotating_id(number), -90 + number // 10, 0)
    assert window.is_crowded()
    strengths = sorted(-90 + number // 10 for number in range(300))
    assert sorted([record.rssi_max_dbm for record in records_of(window)]) == strengths[-MAX_RECORDS:]
    window.begin(START_S + 300)
    assert not window.is_crowded() and numbers(window) == []


def check_64_are_no_crowd():
    window = opened()
    for number in range(MAX_RECORDS):
        window.add(START_S + number, KIND_BLUEZONE, rotating_id(number), -90, 0)
    assert not window.is_crowded()
    assert numbers(window) == list(range(MAX_RECORDS))


def check_an_evicted_row_starts_afresh():
    window = opened()
    for number in range(128):
        for _ in range(5):
            window.add(START_S, KIND_BLUEZONE, rotating_id(number), -90, 9)
    window.begin_scan()
    window.add(START_S + 100, KIND_BLUEZONE, rotating_id(500), -40, 1)
    found = {int.from_bytes(record.rotating_id, "big"): record for record in records_of(window)}
    newcomer = found[500]
    assert (newcomer.first_s, newcomer.packets, newcomer.scans) == (100, 1, 1)
    assert (newcomer.rssi_mean_dbm, newcomer.rssi_max_dbm, newcomer.tx_power_dbm) == (-40, -40, 1)


def check_counts_do_not_run_over():
    window = opened()
    for _ in range(300):
        window.begin_scan()
        for _ in range(250):
            window.add(START_S + 70000, KIND_BLUEZONE, rotating_id(1), -127, 127)
    (record,) = records_of(window)
    assert (record.packets, record.scans, record.rssi_mean_dbm) == (65535, 255, -127)
    assert (record.first_s, record.last_s) == (65535, 65535)


def check_a_clock_that_went_back_gives_no_negative_time():
    window = opened()
    window.add(START_S - 50, KIND_BLUEZONE, rotating_id(1), -60, 0)
    assert records_of(window)[0].first_s == 0


checks = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
for check in checks:
    check()
print(len(checks), "checks held")
