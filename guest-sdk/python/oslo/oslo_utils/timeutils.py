"""Times, as services write them."""

import datetime
import time

from nova_guest._primitive import TIME_FORMAT as PERFECT_TIME_FORMAT

__all__ = [
    "PERFECT_TIME_FORMAT", "delta_seconds", "is_newer_than", "is_older_than", "is_soon", "isotime", "marshall_now",
    "normalize_time", "now", "parse_isotime", "parse_strtime", "unmarshall_time", "utcnow", "utcnow_ts",
]


_PARTS = ("day", "month", "year", "hour", "minute", "second", "microsecond")


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
    try:
        time = datetime.datetime.fromisoformat(timestr)
    except (TypeError, ValueError):
        raise ValueError(f"Unable to parse date string {timestr!r}") from None
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


def is_soon(dt, window):
    """Whether a time comes within these seconds, or has been."""
    return normalize_time(dt) <= utcnow() + datetime.timedelta(seconds=window)


def marshall_now(now=None):
    """A time as a dict."""
    now = now or utcnow()
    told = {name: getattr(now, name) for name in _PARTS}
    if now.tzinfo:
        told["tzname"] = now.tzinfo.tzname(None)
    return told


def unmarshall_time(tyme):
    """A time of a dict. Its zone is UTC or none: the sandbox has no tables of others."""
    zone = tyme.get("tzname")
    if zone not in (None, "UTC", "UTC+00:00"):
        raise ValueError(f"the sandbox has no tables of time zones, and knows nothing of {zone}")
    parts = {name: tyme[name] for name in _PARTS} | {"second": min(tyme["second"], 59)}
    return datetime.datetime(**parts, tzinfo=datetime.timezone.utc if zone else None)
