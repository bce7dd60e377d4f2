"""Times, as services write them."""

import datetime
import time

from nova_guest._primitive import TIME_FORMAT as PERFECT_TIME_FORMAT

__all__ = [
    "PERFECT_TIME_FORMAT", "delta_seconds", "is_newer_than", "is_older_than", "isotime", "normalize_time", "now",
    "parse_isotime", "parse_strtime", "utcnow", "utcnow_ts",
]


def now():
    """Seconds that only grow."""
    return time.monotonic()


def utcnow(with_timezone=False):
    """The time, in UTC, without its zone unless it is asked for."""
    time = datetime.datetime.now(datetime.timezone.utc)
    return time if with_timezone else time.replace(tzinfo=None)


def utcnow_ts(microsecond=False):
    """Seconds since 1970."""
    return time.time() if microsecond else int(time.time())


def isotime(at=None):
    """With a zone, and no fractions."""
    at = utcnow() if at is None else at
    zone = at.tzinfo.tzname(None) if at.tzinfo else "UTC"
    return at.strftime("%Y-%m-%dT%H:%M:%S") + ("Z" if zone in ("UTC", "UTC+00:00") else zone)


def parse_isotime(timestr):
    """A time with its zone, which is UTC where there is none."""
    time = datetime.datetime.fromisoformat(timestr)
    return time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)


def parse_strtime(timestr, fmt=PERFECT_TIME_FORMAT):
    """A time without its zone."""
    return datetime.datetime.strptime(timestr, fmt)


def normalize_time(timestamp):
    """The same time in UTC, without its zone."""
    offset = timestamp.utcoffset()
    return timestamp if offset is None else timestamp.replace(tzinfo=None) - offset


def _time(value):
    return normalize_time(parse_isotime(value) if isinstance(value, str) else value)


def is_older_than(before, seconds):
    """Whether a time is longer ago than this."""
    return utcnow() - _time(before) > datetime.timedelta(seconds=seconds)


def is_newer_than(after, seconds):
    """Whether a time is further ahead than this."""
    return _time(after) - utcnow() > datetime.timedelta(seconds=seconds)


def delta_seconds(before, after):
    """Seconds from one to the other."""
    return (after - before).total_seconds()
