"""The date-time text of the standard SMP command: "2026-11-23T07:30:00.250+00:00" (RFC 3339), UTC."""

from micropython import const

_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAY_S = const(86400)


def _days_since_1970(year: int, month: int, day: int) -> int:
    leap_day = 1 if month > 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 0
    before = year - 1
    leap_days = before // 4 - before // 100 + before // 400 - 477  # 477 up to the end of 1969
    return (year - 1970) * 365 + leap_days + _DAYS_BEFORE_MONTH[month - 1] + leap_day + day - 1


def parse_utc(text: str) -> "int | None":
    """Unix ms, None when it is not such a text. A zone other than UTC is taken into account, none means UTC."""
    try:
        date, clock = text[:10], text[11:19]
        year, month, day = int(date[0:4]), int(date[5:7]), int(date[8:10])
        hour, minute, second = int(clock[0:2]), int(clock[3:5]), int(clock[6:8])
        rest = text[19:]
        millis, rest = _take_fraction(rest)
        zone_s = _zone_s(rest)
    except (ValueError, IndexError):
        return None
    punctuation = date[4:5] + date[7:8] + text[10:11] + clock[2:3] + clock[5:6]
    in_range = 1970 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60
    if punctuation != "--T::" or not in_range or min(hour, minute, second) < 0:
        return None
    seconds = _days_since_1970(year, month, day) * _DAY_S + hour * 3600 + minute * 60 + second - zone_s
    return seconds * 1000 + millis


def _take_fraction(rest: str) -> "tuple[int, str]":
    if not rest.startswith("."):
        return 0, rest
    end = 1
    while end < len(rest) and rest[end].isdigit():
        end += 1
    return int((rest[1:end] + "000")[:3]), rest[end:]


def _zone_s(rest: str) -> int:
    if rest in ("", "Z", "z"):
        return 0
    if len(rest) != 6 or rest[0] not in "+-" or rest[3] != ":":
        raise ValueError("zone")
    offset_s = int(rest[1:3]) * 3600 + int(rest[4:6]) * 60
    return -offset_s if rest[0] == "-" else offset_s


def format_utc(unix_ms: int) -> str:
    """The text for a Unix time in ms."""
    seconds, millis = divmod(unix_ms, 1000)
    days, second_of_day = divmod(seconds, _DAY_S)
    year = 1970
    while _days_since_1970(year + 1, 1, 1) <= days:
        year += 1
    month = 12
    while _days_since_1970(year, month, 1) > days:
        month -= 1
    day = days - _days_since_1970(year, month, 1) + 1
    minutes, second = divmod(second_of_day, 60)
    hour, minute = divmod(minutes, 60)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{millis:03d}+00:00"
