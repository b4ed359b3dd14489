"""Which value may stand where: assignability between types, and what arithmetic gives.

Units are the point of it: an amount never meets an epoch, and a point in time plus a number is a
point again. A literal number has no unit of its own and takes that of its surroundings.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .composite import List, Map, Optional, Record
from .types import TEXT, Amount, Anything, Bool, Bytes, Int, Scalar, Text, Type

BOOL = Bool()
INT = Int("int")
LITERAL = Int("number")
"""The type of a number written in an expression."""
NONE = Optional(Anything())
"""The type of None."""

POINTS = frozenset({"epoch", "time"})


def is_number(of: Type) -> bool:
    """Whether arithmetic works on values of this type."""
    return isinstance(of, Int | Amount)


def assignable(wanted: Type, given: Type) -> bool:
    """Whether a value of type `given` may stand where `wanted` is meant."""
    if isinstance(wanted, Optional):
        inner = given.of if isinstance(given, Optional) and given is not NONE else given
        return given is NONE or assignable(wanted.of, inner)
    if given is LITERAL:
        return is_number(wanted)
    if wanted is LITERAL:
        return is_number(given)
    if isinstance(wanted, Int | Amount):
        return is_number(given) and wanted.unit == given.unit
    if isinstance(wanted, Text | Scalar):
        return isinstance(given, Text | Scalar)
    if isinstance(wanted, List):
        return isinstance(given, List) and (given.of is NONE or assignable(wanted.of, given.of))
    if isinstance(wanted, Map):
        return _to_map(wanted, given)
    if isinstance(wanted, Record):
        return _to_record(wanted, given)
    if isinstance(wanted, Anything):
        return isinstance(given, Anything | Bool | Text | Scalar)
    return type(wanted) is type(given)


def _to_map(wanted: Map, given: Type) -> bool:
    if isinstance(given, Record):
        return not given.fields
    return (
        isinstance(given, Map)
        and assignable(wanted.key, given.key)
        and assignable(wanted.of, given.of)
    )


def _to_record(wanted: Record, given: Type) -> bool:
    if not isinstance(given, Record) or not given.fields.keys() <= wanted.fields.keys():
        return False
    return all(
        assignable(of, given.fields[name]) if name in given.fields else isinstance(of, Optional)
        for name, of in wanted.fields.items()
    )


def common(types: Sequence[Type]) -> Type | None:
    """Return one type that all of `types` may stand for, or None if there is none."""
    result = next((of for of in types if of is not NONE and of is not LITERAL), types[0])
    for of in types:
        if not assignable(result, of):
            if of is not NONE:
                return None
            result = Optional(result)
    return result


def unbounded(of: Type) -> Type:
    """Return the number type with the unit of `of` and no bounds, as arithmetic gives it."""
    if isinstance(of, Amount) or of is LITERAL:
        return of
    return Int(of.unit or "int", unit=of.unit)


def arithmetic(operator: ast.operator, left: Type, right: Type) -> Type | None:
    """Return the type of `left operator right` for two number types, or None if it has none."""
    if left is LITERAL and right is LITERAL:
        return LITERAL
    if isinstance(operator, ast.Mult):
        if left.unit and right.unit:
            return None
        return unbounded(left if left.unit else right)
    if isinstance(operator, ast.FloorDiv | ast.Mod):
        if right.unit and right.unit != left.unit:
            return None
        return INT if right.unit and isinstance(operator, ast.FloorDiv) else unbounded(left)
    if left.unit == right.unit:
        difference = left.unit in POINTS and isinstance(operator, ast.Sub)
        return INT if difference else unbounded(left)
    if left is LITERAL or right is LITERAL:
        return unbounded(right if left is LITERAL else left)
    if None in (left.unit, right.unit) and {left.unit, right.unit} & POINTS:
        return unbounded(left if left.unit else right)
    return None


def may_order(left: Type, right: Type) -> bool:
    """Whether `left < right` has a meaning."""
    both_text = isinstance(left, Text | Scalar) and isinstance(right, Text | Scalar)
    both_bytes = isinstance(left, Bytes) and isinstance(right, Bytes)
    return both_text or both_bytes or (is_number(left) and is_number(right))


def may_contain(left: Type, right: Type) -> bool:
    """Whether `left in right` has a meaning."""
    if isinstance(right, Map):
        return assignable(right.key, left)
    if isinstance(right, List):
        return assignable(right.of, left)
    return right is TEXT and isinstance(left, Text | Scalar)
