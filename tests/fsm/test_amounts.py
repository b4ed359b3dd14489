"""Amounts as people write them: exact, with a unit, never through a float."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.composite import BUILTIN
from statetape.fsm.types import ValueInvalid

from .strategies import PROPERTY

FIL = BUILTIN["attofil"]


@pytest.mark.parametrize(
    ("text", "attofil"),
    [
        ("1.5 FIL", 15 * 10**17),
        ("1.5FIL", 15 * 10**17),
        ("1.5 fil", 15 * 10**17),
        ("0.000000000000000001 FIL", 1),
        ("0.1000000000000000000000000 FIL", 10**17),
        ("10 attofil", 10),
        ("10attofil", 10),
        ("3 aFIL", 3),
        ("2 nanofil", 2 * 10**9),
        ("2.000000001 nanoFIL", 2 * 10**9 + 1),
        ("1 femtofil", 10**3),
        ("1 picofil", 10**6),
        ("1 microfil", 10**12),
        ("1 millifil", 10**15),
        ("7", 7),
        ("-7", -7),
        ("-0.5 FIL", -5 * 10**17),
        ("0 FIL", 0),
        ("  12  FIL  ", 12 * 10**18),
        ("1180591620717411303425", 2**70 + 1),
        ("1180591620717411303425 FIL", (2**70 + 1) * 10**18),
        ("0.1 FIL", 10**17),
    ],
)
def test_amount_is_read_exactly(text: str, attofil: int) -> None:
    """Every digit counts: 0.1 is a tenth, and 2^70+1 keeps its last digit."""
    assert FIL.parse(text, "x") == attofil


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.0000000000000000001 FIL", "finer than one attofil"),
        ("0.5 attofil", "finer than one attofil"),
        ("1.0000000001 nanofil", "finer than one attofil"),
        ("1.5", "say the unit"),
        ("1 ETH", "units are attofil"),
        ("1 FILs", "units are attofil"),
        ("1e18", "write `1.5 FIL`"),
        ("1e18 FIL", "write `1.5 FIL`"),
        ("1.5e3 attofil", "write `1.5 FIL`"),
        ("NaN", "write `1.5 FIL`"),
        ("inf", "write `1.5 FIL`"),
        ("-inf FIL", "write `1.5 FIL`"),
        ("Infinity FIL", "write `1.5 FIL`"),
        ("", "write `1.5 FIL`"),
        ("FIL", "write `1.5 FIL`"),
        (".5 FIL", "write `1.5 FIL`"),
        ("5. FIL", "write `1.5 FIL`"),
        ("+1 FIL", "write `1.5 FIL`"),
        ("--1 FIL", "write `1.5 FIL`"),
        ("1,000 FIL", "write `1.5 FIL`"),
        ("1_000 FIL", "write `1.5 FIL`"),
        ("0x10 FIL", "write `1.5 FIL`"),
        ("1 FIL 2", "write `1.5 FIL`"),
        ("1.2.3 FIL", "write `1.5 FIL`"),
        ("١٢ FIL", "write `1.5 FIL`"),
        ("１ FIL", "write `1.5 FIL`"),
        ("½ FIL", "write `1.5 FIL`"),
        ("1 ＦＩＬ", "write `1.5 FIL`"),
        ("1\x00FIL", "write `1.5 FIL`"),
        pytest.param("9" * 1301, "write `1.5 FIL`", id="1301 digits"),
        pytest.param("9" * 1299, "more than 4096 bits", id="1299 digits"),
        pytest.param("0." + "0" * 1299 + "1 FIL", "write `1.5 FIL`", id="1300 decimals"),
        pytest.param("9" * 100_000 + " FIL", "write `1.5 FIL`", id="100000 digits"),
    ],
)
def test_what_is_no_exact_amount_is_refused_by_name(text: str, says: str) -> None:
    """The type and what would have been right; never a guess, never a rounded number."""
    with pytest.raises(ValueInvalid) as caught:
        FIL.parse(text, "price")

    assert says in caught.value.message
    assert "is not attofil" in caught.value.message
    assert caught.value.place == "price"
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "value", ["1.5 FIL", "10 attofil", "1e3", 1.0, float("nan"), None, True, "1.0", " 1"]
)
def test_stored_amount_is_a_whole_number(value: object) -> None:
    """Units are for people; JSON and typed values have whole smallest units only."""
    with pytest.raises(ValueInvalid, match="whole number of the smallest unit"):
        FIL.coerce(value, "x")


@pytest.mark.parametrize(
    ("attofil", "text"),
    [
        (0, "0 FIL"),
        (10**18, "1 FIL"),
        (15 * 10**17, "1.5 FIL"),
        (-15 * 10**17, "-1.5 FIL"),
        (10**12, "0.000001 FIL"),
        (10**12 - 1, "999999999999 attofil"),
        (-1, "-1 attofil"),
        (10**18 + 1, "1.000000000000000001 FIL"),
    ],
)
def test_amount_is_shown_short_and_exactly(attofil: int, text: str) -> None:
    """In FIL from a millionth on, else in whole attofil."""
    assert FIL.show(attofil) == text


@PROPERTY
@given(st.integers(0, 10**30), st.sampled_from([0, 3, 6, 9, 12, 15, 18]))
def test_fraction_of_any_unit_is_exact(attofil: int, power: int) -> None:
    """Any amount, written with a decimal point in any unit, is the same amount."""
    names = {of: name for name, of in FIL.decimals.items()}  # type: ignore[attr-defined]
    whole, rest = divmod(attofil, 10**power)
    text = f"{whole}.{rest:0{power}d}" if power else str(whole)

    assert FIL.parse(f"{text} {names[power]}", "x") == attofil


def test_hostile_spaces_cost_no_more_than_their_length() -> None:
    """A long run of spaces is refused before anything looks for digits and a unit in it."""
    with pytest.raises(ValueInvalid):
        FIL.parse("1" + " " * 200_000 + "!", "x")
