"""Which value may stand where: assignability between types, and what arithmetic gives.

Units are the point of it: an amount never meets an epoch, and a point in time plus a number is a
point again. A literal number has no unit of its own and takes that of its surroundings.
"""

from __future__ import annotations

import ast

from .composite import List, Map, Optional, Record
from .types import TEXT, Amount, Anything, Bool, Bytes, Int, Scalar, Text, Type

BOOL = Bool()
INT = Int("int")
LITERAL = Int("number")
"""The type of a number written in an expression."""
NONE = Optional(Anything())
"""The type of None."""
NOTHING = Optional(Anything())
"""The type of an item of an empty list: there is none, so it may stand anywhere."""

POINTS = frozenset({"epoch", "time"})
PARTS_MAX = 400
DEPTH_MAX = 20


def parts(of: Type) -> tuple[Type, ...]:
    """Return the types that a type is made of."""
    if isinstance(of, Optional | List):
        return (of.of,)
    if isinstance(of, Map):
        return of.key, of.of
    return tuple(of.fields.values()) if isinstance(of, Record) else ()


def oversized(of: Type) -> bool:
    """Whether a type has more than PARTS_MAX parts, or DEPTH_MAX in one another.

    Types are walked at every use, and a few lines of a file can make one that doubles in each.
    """
    level: tuple[Type, ...] = (of,)
    count = depth = 0
    while level and count <= PARTS_MAX and depth <= DEPTH_MAX:
        count += len(level)
        depth += 1
        level = tuple(part for one in level for part in parts(one))
    return count > PARTS_MAX or depth > DEPTH_MAX


def holds_json(of: Type) -> bool:
    """Whether a value may hold JSON as it came, where true equals 1 and only Python thinks so."""
    if of is NONE or of is NOTHING:
        return False
    return isinstance(of, Anything) or any(map(holds_json, parts(of)))


def is_number(of: Type) -> bool:
    """Whether arithmetic works on values of this type."""
    return isinstance(of, Int | Amount)


def assignable(wanted: Type, given: Type) -> bool:
    """Whether a value of type `given` may stand where `wanted` is meant."""
    if given is NOTHING:
        return True
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
        return isinstance(given, List) and assignable(wanted.of, given.of)
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
    """A value has all fields of its record: what reads one never misses it."""
    return (
        isinstance(given, Record)
        and given.fields.keys() == wanted.fields.keys()
        and all(assignable(of, given.fields[name]) for name, of in wanted.fields.items())
    )


def common(left: Type, right: Type) -> Type | None:
    """Return the type of a value that is a `left` or a `right`, or None if there is none."""
    for one, other in ((left, right), (right, left)):
        if one is NOTHING:
            return other
        if one is NONE:
            return other if isinstance(other, Optional) else Optional(other)
        if one is LITERAL and is_number(other):
            return other
    if isinstance(left, Optional) or isinstance(right, Optional):
        inner = common(*(of.of if isinstance(of, Optional) else of for of in (left, right)))
        return inner and Optional(inner)
    if isinstance(left, List) and isinstance(right, List):
        inner = common(left.of, right.of)
        return inner and List(inner)
    if isinstance(left, Map) and isinstance(right, Map):
        key, inner = common(left.key, right.key), common(left.of, right.of)
        return key and inner and Map(key, inner)
    if isinstance(left, Record) and isinstance(right, Record) and left.fields and right.fields:
        return _common_record(left, right)
    if assignable(left, right):
        return left
    return right if assignable(right, left) else None


def _common_record(left: Record, right: Record) -> Type | None:
    if left.fields.keys() != right.fields.keys():
        return None
    fields = {}
    for name, of in left.fields.items():
        both = common(of, right.fields[name])
        if both is None:
            return None
        fields[name] = both
    declared = next((of for of in (left, right) if of.fields == fields), None)
    return declared or Record(left.name, fields)


def unbounded(of: Type) -> Type:
    """Return the number type with the unit of `of` and no bounds, as arithmetic gives it."""
    if isinstance(of, Amount) or of is LITERAL:
        return of
    return Int(of.unit or "int", unit=of.unit)


def arithmetic(operator: ast.operator, left: Type, right: Type) -> Type | None:
    """Return the type of `left operator right` for two number types, or None if it has none."""
    if left is LITERAL and right is LITERAL:
        return LITERAL
    typed = right if left is LITERAL else left
    if isinstance(operator, ast.Mult):
        if left.unit and right.unit:
            return None
        return unbounded(right if right.unit else typed)
    if isinstance(operator, ast.FloorDiv | ast.Mod):
        if right.unit and right.unit != left.unit:
            return None
        return INT if right.unit and isinstance(operator, ast.FloorDiv) else unbounded(typed)
    if left.unit == right.unit:
        difference = left.unit in POINTS and isinstance(operator, ast.Sub)
        return INT if difference else unbounded(typed)
    if left is LITERAL or right is LITERAL:
        return unbounded(typed)
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
        return assignable(right.of, left) and not holds_json(right.of)
    return right is TEXT and isinstance(left, Text | Scalar)
