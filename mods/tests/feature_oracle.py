"""The plainest possible loop over records and windows; shares no code with the package.

A record is a dict of Zeek's fields: `ts` and `duration` in whole microseconds,
`None` (or no key) for unset.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from fractions import Fraction

PRIVATE = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
]
HOUR = 3_600_000_000


def local(host, nets):
    address = ipaddress.ip_address(host)
    return any(address in ipaddress.ip_network(net) for net in nets)


def direction(record, nets):
    origin, target = record["id.orig_h"], record["id.resp_h"]
    if origin is None or target is None:
        return None
    if local(origin, nets):
        return "internal" if local(target, nets) else "out"
    return "in" if local(target, nets) else None


def count(records):
    return len(records)


def total(field):
    return lambda records: sum(r[field] for r in records if r.get(field) is not None)


def mean(field):
    def average(records):
        values = [r[field] for r in records if r.get(field) is not None]
        return float(Fraction(sum(values), len(values) * 1_000_000)) if values else None

    return average


def distinct(field):
    return lambda records: len({r[field] for r in records if r.get(field) is not None})


def having(field, value):
    return lambda records: sum(1 for r in records if r.get(field) is value)


FEATURES = {
    "conn": {
        "sum_orig_bytes": total("orig_bytes"),
        "sum_resp_bytes": total("resp_bytes"),
        "avg_duration": mean("duration"),
        "count_uid": count,
    },
    "dns": {
        "count_uid": count,
        "distinct_query": distinct("query"),
        "distinct_proto": distinct("proto"),
        "AA_false": having("AA", False),
        "AA_true": having("AA", True),
        "RA_false": having("RA", False),
        "RA_true": having("RA", True),
        "RD_false": having("RD", False),
        "RD_true": having("RD", True),
        "TC_false": having("TC", False),
        "TC_true": having("TC", True),
        "rejected_false": having("rejected", False),
        "rejected_true": having("rejected", True),
    },
    "http": {"": count},
    "sip": {
        "count_uid": count,
        "distinct_`id.orig_h`": distinct("id.orig_h"),
        "distinct_`id.orig_p`": distinct("id.orig_p"),
        "distinct_`id.resp_h`": distinct("id.resp_h"),
        "distinct_`id.resp_p`": distinct("id.resp_p"),
        "distinct_user_agent": distinct("user_agent"),
    },
    "ssh": {"": count},
    "ssl": {"": count},
}


def observed_spans(slide, times):
    """Return the spans, widened to slides, in which a sensor with these records was observing."""
    spans: list = []
    for time in sorted(times):
        if spans and time - spans[-1][1] <= HOUR:
            spans[-1][1] = time
        else:
            spans.append([time, time])
    widened = []
    for first, last in spans:
        begin = first - first % slide
        if first - begin > HOUR:
            begin += slide
        stop = last - last % slide + slide
        if stop - last > HOUR:
            stop -= slide
        widened.append((begin, stop))
    return widened


def features(logs, protocol, length, slide, nets=PRIVATE):
    """Return `{day: [(window_start, {column: value})]}` for logs `{protocol: [record]}`.

    `length` and `slide` are in microseconds; a window that is not known has None everywhere.
    """
    times = [r["ts"] for records in logs.values() for r in records]
    spans = observed_spans(slide, times)
    records = [(direction(r, nets), r) for r in logs.get(protocol, [])]
    table = {}
    for day in sorted({time // (24 * HOUR) for time in times}):
        rows = []
        start = day * 24 * HOUR
        while start % slide:
            start += 1_000_000
        while start < (day + 1) * 24 * HOUR:
            known = any(begin <= start and start + length <= stop for begin, stop in spans)
            row = {}
            for way in ("in", "out", "internal"):
                inside = []
                if known:
                    inside = [
                        r for w, r in records if w == way and start <= r["ts"] < start + length
                    ]
                for name, compute in FEATURES[protocol].items():
                    row[f"{way}_{name}" if name else way] = compute(inside) if known else None
            rows.append((start, row))
            start += slide
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
        table[date.strftime("%Y/%m/%d")] = rows
    return table
