"""When markets that close are open: by name, as whole spans of UTC, in integers. A closed market is not a stale one.

`fx` is the week of foreign exchange and spot metals, Sunday 22:00 to Friday 22:00 UTC: the convention of New York's
17:00 close in winter, which this oracle keeps all year. `target` is the days on which the euro's payment system, and so
the European Central Bank's fixing, works: Monday to Friday but 1 January, Good Friday, Easter Monday, 1 May, 25 and 26
December (ECB, "TARGET closing days", decision of 14 December 2000), each from midnight to midnight UTC.
"""

from __future__ import annotations

from functools import lru_cache

from oracle.core.types import NANOS_PER_S, Nanos

HOUR_NS = 3_600 * NANOS_PER_S
DAY_NS = 24 * HOUR_NS
CALENDARS = ("", "always", "fx", "target")
_WEEKDAY_OF_DAY_0 = 3  # 1 January 1970 was a Thursday; Monday is 0
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_FX_CLOSES_NS = _FX_OPENS_NS = 22 * HOUR_NS
_SPAN_DAYS_MAX = 400  # further back nobody asks: the rate is old by any rule


def is_open(calendar: str, at_ns: Nanos) -> bool:
    """Whether the market is open at a time. Raises KeyError for a calendar that nobody has."""
    day, within_ns = divmod(at_ns, DAY_NS)
    return any(begin <= within_ns < end for begin, end in _spans(calendar, day))


def open_ns(calendar: str, since_ns: Nanos, until_ns: Nanos) -> int:
    """For how long the market was open in [since, until), in ns. What lies more than 400 days back counts as open."""
    if calendar in ("", "always"):
        return max(0, until_ns - since_ns)
    first, last = since_ns // DAY_NS, until_ns // DAY_NS
    if last - first > _SPAN_DAYS_MAX:
        return until_ns - since_ns
    total = 0
    for day in range(first, last + 1):
        for begin, end in _spans(calendar, day):
            total += max(0, min(until_ns, day * DAY_NS + end) - max(since_ns, day * DAY_NS + begin))
    return total


@lru_cache(maxsize=1024)
def _spans(calendar: str, day: int) -> tuple[tuple[int, int], ...]:
    """The open spans of a day (counted from 1970), in ns since its midnight."""
    weekday = (day + _WEEKDAY_OF_DAY_0) % 7
    if calendar in ("", "always"):
        return ((0, DAY_NS),)
    if calendar == "fx":
        if weekday == _SATURDAY:
            return ()
        return ((_FX_OPENS_NS if weekday == _SUNDAY else 0, _FX_CLOSES_NS if weekday == _FRIDAY else DAY_NS),)
    if calendar == "target":
        return () if weekday >= _SATURDAY or _is_target_holiday(day) else ((0, DAY_NS),)
    raise KeyError(calendar)


def _is_target_holiday(day: int) -> bool:
    year, month, date = civil(day)
    easter = _easter(year)
    return (month, date) in ((1, 1), (5, 1), (12, 25), (12, 26)) or day in (easter - 2, easter + 1)


def civil(day: int) -> tuple[int, int, int]:
    """(year, month, date) of a day counted from 1970 (Hinnant, "chrono-compatible low-level date algorithms", 2021)."""
    era, of_era = divmod(day + 719_468, 146_097)
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


def day_of(year: int, month: int, date: int) -> int:
    """The day, counted from 1970, of a date in the Gregorian calendar."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + date - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + of_year - 719_468


def _easter(year: int) -> int:
    """Easter Sunday as a day counted from 1970 (Anonymous Gregorian computus, Nature, 20 April 1876)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, date = divmod(h + m - 7 * n + 114, 31)
    return day_of(year, month, date + 1)
