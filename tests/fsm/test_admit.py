"""What changes deep in a map is checked; what does not is not looked at again."""

from __future__ import annotations

import pytest
from statetape.fsm.composite import Map
from statetape.fsm.types import TEXT, Type, ValueInvalid


class Counted(Type):
    """A text that counts how often it is checked."""

    name = "counted"

    def __init__(self):
        self.checked = 0

    def coerce(self, value, place):
        self.checked += 1
        return TEXT.coerce(value, place)


def test_a_map_in_a_map_is_checked_where_it_changed():
    """One item of a thousand, of one map of two: one check. And that one is made."""
    item = Counted()
    nested = Map(TEXT, Map(TEXT, item))
    old = nested.coerce({"a": {str(n): "x" for n in range(1000)}, "b": {"0": "y"}}, "data")
    item.checked = 0
    new = nested.admit(old, {**old, "a": {**old["a"], "7": "z"}}, "data")

    assert item.checked == 1
    assert (new["a"]["7"], new["a"]["8"], new["b"]) == ("z", "x", {"0": "y"})
    with pytest.raises(ValueInvalid):
        nested.admit(old, {**old, "a": {**old["a"], "7": 7}}, "data")
