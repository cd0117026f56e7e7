"""The selection query: what it selects, what it says about mistakes, and its text again."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mods.config import DEFAULT_QUERY
from mods.dataset.protocols import PROTOCOLS
from mods.dataset.query import parse_query
from mods.errors import ModsError, QueryError

COLUMNS = [(p.name, c) for p in PROTOCOLS.values() for c in p.columns]


def test_the_default_query_gives_the_four_series() -> None:
    query = parse_query(DEFAULT_QUERY)
    assert query.names == ["conn_in", "conn_out", "dns_in_distinct", "ssh_in"]
    assert query.protocols == ["conn", "dns", "ssh"]
    assert [(s.protocol, s.column) for s in query.columns] == [
        ("conn", "in_count_uid"),
        ("conn", "out_count_uid"),
        ("dns", "in_distinct_query"),
        ("ssh", "in"),
    ]
    assert query.joins == ("window_start", "window_end")
    assert query.text == DEFAULT_QUERY


def test_blanks_may_stand_around_separators() -> None:
    loose = (
        " conn | in_count_uid ~ conn_in\t|out_count_uid ;\nssh | in # window_start , window_end "
    )
    assert parse_query(loose) == parse_query(
        "conn|in_count_uid~conn_in|out_count_uid;ssh|in#window_start,window_end"
    )


def test_names_in_backticks_are_names_like_others() -> None:
    query = parse_query("sip|in_distinct_`id.orig_h`~callers|in_distinct_user_agent")
    assert [s.column for s in query.columns] == [
        "in_distinct_`id.orig_h`",
        "in_distinct_user_agent",
    ]


def test_a_protocol_may_come_up_again_and_the_order_stays() -> None:
    query = parse_query("conn|in_count_uid;ssh|in;conn|out_count_uid")
    assert query.names == ["in_count_uid", "in", "out_count_uid"]
    assert query.protocols == ["conn", "ssh"]
    assert parse_query(query.text).names == query.names


@pytest.mark.parametrize(
    ("name", "divisor"),
    [("a_kb", 1e3), ("a_mb", 1e6), ("a_gb", 1e9), ("a_b", 1.0), ("a_KB", 1.0), ("kb", 1.0)],
)
def test_a_new_name_may_convert_from_bytes(name: str, divisor: float) -> None:
    assert parse_query(f"conn|in_sum_orig_bytes~{name}").columns[0].divisor == divisor


def test_a_column_that_keeps_its_name_is_not_converted() -> None:
    assert parse_query("conn|in_mb").columns[0].divisor == 1.0


# Query, where the caret stands, what is said and what mends it.
MISTAKES = [
    ("", 0, "a protocol is missing", "Begin each part with a protocol, for example"),
    ("  ", 2, "a protocol is missing", "Begin each part"),
    ("conn", 0, "no column after 'conn'", "Put '|' and a column after it"),
    ("conn|", 5, "a column or its new name is missing", "Write |column or |column~new_name."),
    ("conn|a|", 7, "a column or its new name is missing", "Write |column"),
    ("conn|a;", 7, "a protocol is missing", "Begin each part"),
    (";conn|a", 0, "a protocol is missing", "Begin each part"),
    ("conn|a;;ssh|in", 7, "a protocol is missing", "Begin each part"),
    ("conn~x|a", 0, "a protocol cannot be renamed", "Begin each part"),
    ("conn|~a", 5, "a column or its new name is missing", "Write |column"),
    ("conn|a~", 5, "a column or its new name is missing", "Write |column"),
    ("conn|a~b~c", 5, "more than one '~'", "A column is renamed once."),
    ("conn|a|a", 7, "the name 'a' is given twice", "Give one of them another name"),
    ("conn|a~x;ssh|in~x", 13, "the name 'x' is given twice", "Give one of them another name"),
    ("conn|a#b#c", 8, "a second '#'", "Name the join columns once"),
    ("conn|a#", 7, "protocols cannot be joined on ''", "Join on window_start"),
    ("conn|a# uid", 8, "protocols cannot be joined on 'uid'", "Join on window_start"),
    ("conn|a#window_end", 7, "no window_start to join on", "Join on window_start."),
    ("conn|a#window_start,x", 20, "protocols cannot be joined on 'x'", "Join on window_start"),
    (
        "conn|a#window_start, window_start",
        21,
        "protocols are joined twice on 'window_start'",
        "Join on",
    ),
    ("conn|a~window_start", 5, "no column can have the name 'window_start'", "Use letters"),
    ("conn|a\tb", 5, "no column can have the name 'a\\tb'", "Use letters"),
    ("conn|a\x00", 5, "no column can have the name 'a\\x00'", "Use letters"),
]


@pytest.mark.parametrize(("text", "spot", "what", "mend"), MISTAKES)
def test_a_mistake_is_told_with_a_caret_under_its_spot(
    text: str, spot: int, what: str, mend: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    first, shown, caret, last = str(caught.value).split("\n")
    assert first == f"selection query: {what}"
    assert shown == "  " + "".join(c if c.isprintable() else " " for c in text)
    assert caret == " " * (spot + 2) + "^"
    assert last.startswith(mend)


def test_unknown_names_are_told_with_the_nearest_known() -> None:
    query = parse_query("conn|in_count_uid;shh|in")
    with pytest.raises(QueryError) as caught:
        query.check_protocols(["conn", "dns", "ssh"])
    assert str(caught.value) == (
        "selection query: the datapool has no protocol 'shh'\n"
        "  conn|in_count_uid;shh|in\n"
        "                    ^\n"
        "Did you mean 'ssh'?"
    )
    query = parse_query("conn|in_count_uuid")
    with pytest.raises(QueryError, match="Did you mean 'in_count_uid'"):
        query.check_columns("conn", ["window_start", "in_count_uid", "out_count_uid"])


def test_of_a_long_query_the_part_around_the_caret_is_shown() -> None:
    names = "|".join(f"column_{n}" for n in range(200))
    with pytest.raises(QueryError) as caught:
        parse_query(f"conn|{names}|column_100|{names[:50]}")
    _, shown, caret, _ = str(caught.value).split("\n")
    assert len(shown) < 140
    assert shown.startswith("  ...")
    assert shown[caret.index("^") :].startswith("column_100|")


def test_a_query_beyond_all_measure_is_refused() -> None:
    with pytest.raises(QueryError, match="selection query of 10,002 characters; expected at most"):
        parse_query("conn|" + "a" * 9_997)


def test_a_mistake_survives_the_border_between_processes() -> None:
    with pytest.raises(QueryError) as caught:
        parse_query("conn|a|a")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(COLUMNS),
            st.none() | st.text("abcdefgh_0123456789", min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["", "#window_start", "#window_start,window_end", "#window_end,window_start"]),
    st.text(" \t", max_size=2),
)
def test_a_query_written_and_parsed_again_is_the_same(
    chosen: list[tuple[tuple[str, str], str | None]], joins: str, blank: str
) -> None:
    names = [new or column for (_, column), new in chosen]
    assume(len(set(names)) == len(names))
    parts = [
        f"{protocol}{blank}|{blank}{column}" + (f"{blank}~{blank}{new}" if new else "")
        for (protocol, column), new in chosen
    ]
    query = parse_query(f"{blank};{blank}".join(parts) + joins)
    assert query.names == names
    again = parse_query(query.text)
    assert again == query
    assert again.text == query.text


@given(st.text("conn|ssh~;#,window_start `.\t\x00é", max_size=40))
@example("conn|a~b;dns|c#window_start")
def test_any_text_is_a_query_or_a_clear_error(text: str) -> None:
    try:
        query = parse_query(text)
    except ModsError as error:
        assert "\n" in str(error)
        return
    assert len(set(query.names)) == len(query.names) > 0
    assert parse_query(query.text) == query
