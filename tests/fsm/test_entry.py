"""Entries and their canonical bytes: one form for each entry, and no other form is taken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.entry import (
    ENTRY_BYTES_MAX,
    Entry,
    EntryInvalid,
    EntryTooLarge,
    check_canonical,
    decode,
    encode,
)

from .strategies import BIG, PROPERTY, plain_json, words

positions = st.none() | st.integers(0, 2**53 - 1)
texts = st.none() | words
KINDS = st.sampled_from(["at", "height"])
deadlines = st.builds(lambda kind, n: {kind: n}, KINDS, st.integers(0, 99))
objects = st.dictionaries(words, plain_json, max_size=3)
effects = st.fixed_dictionaries({"do": words}, optional={"to": plain_json, "value": plain_json})
reasons = st.fixed_dictionaries(
    {"kind": words},
    optional={
        "accepted_in": st.lists(words, max_size=2),
        "accepts": st.lists(words, max_size=2),
        "code": st.integers(0, 99) | st.just(str(BIG)),
        "detail": words,
        "name": words,
        "needs": st.lists(words, max_size=2),
        "parked": st.integers(0, 9),
        "reason": words,
        "saw": objects,
        "state": words,
        "that": words,
    },
)
entries = st.builds(
    Entry,
    at=st.integers(-(2**52), 2**52),
    by=texts,
    cause=positions,
    create=texts,
    effects=st.none() | st.lists(effects, max_size=2),
    event=texts,
    from_=texts,
    height=st.none() | st.integers(0, 2**53 - 1) | st.just(str(2**60)),
    instance=positions,
    key=texts,
    outcome=st.sampled_from([None, "rejected", "deferred", "ignored"]),
    params=st.none() | objects,
    pos=st.integers(1, 2**53 - 1),
    reason=st.none() | reasons,
    recorded=positions,
    seq=positions,
    set=st.none() | st.dictionaries(words, plain_json | st.none(), max_size=3),
    timers=st.none()
    | st.dictionaries(
        words,
        st.none() | deadlines,
        max_size=2,
    ),
    to=texts,
)


@PROPERTY
@given(entries)
def test_entry_comes_back_from_its_bytes(entry: Entry) -> None:
    """Encode and decode are each other's reverse, and what encode makes is canonical."""
    body = encode(entry)

    assert decode(body) == entry
    assert encode(decode(body)) == body
    assert check_canonical(body) == entry


@PROPERTY
@given(entries)
def test_canonical_bytes_are_sorted_spaceless_json(entry: Entry) -> None:
    """Any JSON tool reads them, and a plain sorted dump gives the same bytes again."""
    body = encode(entry)
    plain = msgspec.json.decode(body)

    assert msgspec.json.encode(plain, order="sorted") == body
    assert list(plain) == sorted(plain)
    assert "at" in plain
    assert None not in plain.values()


def test_example_of_the_design_is_canonical() -> None:
    """The form that the design shows, with its members sorted."""
    entry = Entry(
        pos=42, instance=17, seq=7, event="settle", params={"caller": "f0101"}, from_="open",
        to="settling", set={"settling_at": 3340}, timers={"settle_delay": {"height": 3340}},
        at=1606780800000000, height=1900, spec=3, key="msg-9", by="f0101", cause=40,
    )  # fmt: skip

    assert encode(entry) == (
        b'{"at":1606780800000000,"by":"f0101","cause":40,"event":"settle","from":"open",'
        b'"height":1900,"instance":17,"key":"msg-9","params":{"caller":"f0101"},"pos":42,"seq":7,'
        b'"set":{"settling_at":3340},"spec":3,"timers":{"settle_delay":{"height":3340}},'
        b'"to":"settling"}'
    )


CANONICAL = b'{"at":1,"event":"e","params":{"a":1,"b":[true,null,"\xc3\xa9"]},"pos":1}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"at":1, "pos":1}',
        b'{"at": 1,"pos":1}',
        b' {"at":1,"pos":1}',
        b'{"at":1,"pos":1}\n',
        b'{"pos":1,"at":1}',
        b'{"at":1,"params":{"b":1,"a":1},"pos":1}',
        b'{"at":1,"at":1,"pos":1}',
        b'{"at":1,"params":{"a":1,"a":1},"pos":1}',
        b'{"at":1,"by":null,"pos":1}',
        b'{"at":1,"pos":0}',
        b'{"at":1.0,"pos":1}',
        b'{"at":1,"params":{"n":1.5},"pos":1}',
        b'{"at":1,"params":{"n":1.0},"pos":1}',
        b'{"at":1,"params":{"n":1e3},"pos":1}',
        b'{"at":1,"params":{"n":-0},"pos":1}',
        b'{"at":1,"params":{"n":-0.0},"pos":1}',
        b'{"at":1,"params":{"a":[{"b":0.5}]},"pos":1}',
        b'{"at":1,"params":{"n":01},"pos":1}',
        b'{"at":1,"params":{"n":1e400},"pos":1}',
        b'{"at":1,"params":{"n":NaN},"pos":1}',
        b'{"at":1,"params":{"n":Infinity},"pos":1}',
        b'{"at":1,"event":"\\u0065","pos":1}',
        b'{"at":1,"event":"\\/","pos":1}',
        b'{"at":1,"event":"\\ud800","pos":1}',
        b'{"at":1,"event":"\\u001F","pos":1}',
        b'{"at":1,"event":"\xff","pos":1}',
        b'{"at":1,"event":"\xed\xa0\x80","pos":1}',
        b'{"at":1,"event":"\x01","pos":1}',
        b'\xef\xbb\xbf{"at":1,"pos":1}',
        b'{"at":1,"colour":"red","pos":1}',
        b'{"at":1,"from_":"x","pos":1}',
        b'{"pos":1}',
        b'{"at":"1","pos":1}',
        b'{"at":true,"pos":1}',
        b'{"at":null,"pos":1}',
        b'{"at":1,"event":1,"pos":1}',
        b'{"at":1,"set":[],"pos":1}',
        b'{"at":1,"timers":{"t":{"at":true}},"pos":1}',
        b"[]",
        b"{}",
        b"",
        b"null",
        b"1",
        b"\x00",
        b'{"at":1,"pos":1',
        b'{"at":1,"pos":1}{"at":1,"pos":2}',
    ],
)
def test_any_other_form_is_refused(body: bytes) -> None:
    """Spaces, order, doubled or null members, floats, escapes, wrong types: not an entry."""
    with pytest.raises(EntryInvalid) as caught:
        check_canonical(body, "entry 7")

    assert caught.value.place == "entry 7"


def test_canonical_form_is_taken() -> None:
    """Negative control: what the wrong forms are made from."""
    assert check_canonical(CANONICAL).params == {"a": 1, "b": [True, None, "é"]}
    assert check_canonical(b'{"at":1,"pos":1}') == Entry(at=1, pos=1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"at":1,"params":{"n":9007199254740992},"pos":1}',
        b'{"at":1,"params":{"n":-9007199254740992},"pos":1}',
        b'{"at":1,"params":{"of":[1180591620717411303425]},"pos":1}',
        b'{"at":1,"pos":1,"reason":{"code":1180591620717411303425,"kind":"x"}}',
        b'{"at":1,"pos":1,"set":{"n":9007199254740992}}',
    ],
)
def test_bare_integer_beyond_53_bits_is_not_canonical(body: bytes) -> None:
    """Readers of JSON round it: the canonical form has a decimal string."""
    with pytest.raises(EntryInvalid):
        check_canonical(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"at":1,"height":"high","pos":1}',
        b'{"at":1,"pos":1,"timers":{"t":{"at":"soon"}}}',
        b'{"at":1,"pos":1,"timers":{"t":{"at":1,"height":2}}}',
        b'{"at":1,"pos":1,"timers":{"t":{"after":1}}}',
        b'{"at":1,"pos":1,"timers":{"t":{}}}',
    ],
)
def test_height_or_deadline_that_is_no_integer_is_not_canonical(body: bytes) -> None:
    """Whoever folds an entry reads these, whatever its machine says."""
    with pytest.raises(EntryInvalid, match="no integer"):
        check_canonical(body)


@pytest.mark.parametrize(
    ("member", "where"),
    [
        (b'"params":[]', "params"),
        (b'"params":7', "params"),
        (b'"reason":5', "reason"),
        (b'"reason":[]', "reason"),
        (b'"reason":{}', "kind"),
        (b'"reason":{"kind":7}', "kind"),
        (b'"reason":{"kind":"x","saw":[1]}', "saw"),
        (b'"reason":{"kind":"x","saw":null}', "saw"),
        (b'"reason":{"kind":"x","that":{}}', "that"),
        (b'"reason":{"kind":"x","needs":"y"}', "needs"),
        (b'"reason":{"kind":"x","needs":[1]}', "needs"),
        (b'"reason":{"accepts":[null],"kind":"x"}', "accepts"),
        (b'"reason":{"accepted_in":7,"kind":"x"}', "accepted_in"),
        (b'"reason":{"code":[],"kind":"x"}', "code"),
        (b'"reason":{"colour":"red","kind":"x"}', "colour"),
        (b'"effects":{}', "effects"),
        (b'"effects":[1]', "effects"),
        (b'"effects":[{}]', "do"),
        (b'"effects":[{"do":1}]', "do"),
        (b'"set":[]', "set"),
        (b'"timers":{"t":5}', "timers"),
        (b'"outcome":"accepted"', "outcome"),
        (b'"outcome":"banana"', "outcome"),
    ],
)
def test_shape_of_what_an_entry_holds_is_checked(member: bytes, where: str) -> None:
    """Whoever shows an entry, offers it again or hands its effects over relies on it."""
    names = sorted([b'"at":1', b'"pos":1', member])

    with pytest.raises(EntryInvalid, match=where):
        check_canonical(b"{" + b",".join(names) + b"}", "line 3")


@pytest.mark.parametrize(
    "member",
    [
        b'"params":{"n":[null]}',
        b'"reason":{"accepts":["a"],"code":"99","kind":"x","saw":{"n":1},"that":"n > 1"}',
        b'"effects":[{"do":"send","to":null,"value":[1]}]',
        b'"outcome":"deferred"',
        b'"timers":{"t":null,"u":{"at":5}}',
    ],
)
def test_shapes_that_entries_have_are_canonical(member: bytes) -> None:
    """Negative control: what decisions record is taken."""
    names = sorted([b'"at":1', b'"pos":1', member])

    assert check_canonical(b"{" + b",".join(names) + b"}").pos == 1


def test_integers_of_53_bits_are_canonical() -> None:
    """Negative control: the last ones that every reader reads exactly."""
    body = b'{"at":1,"params":{"of":[9007199254740991,-9007199254740991]},"pos":1}'

    assert check_canonical(body).params == {"of": [2**53 - 1, 1 - 2**53]}


@pytest.mark.parametrize("member", ["params", "reason", "set", "effects"])
def test_big_integer_as_a_string_survives_an_entry(member: str) -> None:
    """2^70+1 through bytes and back, in every member that holds values."""
    value: Any = {"n": str(BIG), "of": [str(-(2**70))]}
    value = {"kind": "x", "saw": value} if member == "reason" else value
    value = [{"do": "x", **value}] if member == "effects" else value

    entry = check_canonical(encode(Entry(at=1, pos=1, **{member: value})))

    assert getattr(entry, member) == value


def test_entry_has_at_most_65535_bytes() -> None:
    """The last allowed entry is encoded and checked, one more byte is refused both ways."""
    frame = len(encode(Entry(at=1, pos=1, text="")))
    largest = "x" * (ENTRY_BYTES_MAX - frame)

    body = encode(Entry(at=1, pos=1, text=largest))

    assert len(body) == 65_535
    assert check_canonical(body).text == largest
    with pytest.raises(EntryTooLarge, match="65536 bytes; at most 65535"):
        encode(Entry(at=1, pos=1, text=largest + "x"))
    with pytest.raises(EntryInvalid, match="65536 bytes"):
        check_canonical(body.replace(b"xx", b"xxx", 1))


@pytest.mark.parametrize("depth", [100, 500, 900, 960, 980, 1000, 5_000, 30_000])
def test_deep_entry_is_refused_or_taken_but_never_a_crash(depth: int) -> None:
    """Whatever the JSON library can hold: an entry or EntryInvalid."""
    body = b'{"at":1,"params":{"a":' + b"[" * depth + b"]" * depth + b'},"pos":1}'
    try:
        found = check_canonical(body)
    except EntryInvalid:
        return

    assert encode(found) == body


@pytest.mark.parametrize("digits", [5_000, 60_000])
def test_integer_too_long_for_python_is_refused(digits: int) -> None:
    """A number of thousands of digits is no entry, in any member."""
    number = b"1" * digits
    for body in (b'{"at":' + number + b"}", b'{"at":1,"params":{"n":' + number + b'},"pos":1}'):
        with pytest.raises(EntryInvalid):
            check_canonical(body)


def test_when_it_happened_is_when_the_tape_learned_of_it() -> None:
    """`at` is the time of the event, `recorded` that of the tape where it differs."""
    assert Entry(at=5).happened == 5
    assert Entry(at=5, recorded=9).happened == 9
