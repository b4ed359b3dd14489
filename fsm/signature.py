"""Signatures of functions as a machine's file writes them: `(TYPE, …) -> TYPE`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .composite import parse_type
from .errors import SpecError
from .types import Type

_SIGNATURE = re.compile(r"\s*(.*?)\s*->\s*(.*?)\s*\Z", re.DOTALL)


def parse_signature(
    text: str, types: Mapping[str, Type], place: str
) -> tuple[tuple[Type, ...], Type]:
    """Return what a function takes and what it gives. Raises SpecError at `place`."""
    match = _SIGNATURE.match(text)
    if not match:
        raise SpecError("a signature is `(TYPE, …) -> TYPE`", place=place)
    inside = match[1][1:-1] if match[1].startswith("(") else match[1]
    takes = tuple(parse_type(part, types, place) for part in _split(inside))
    return takes, parse_type(match[2], types, place)


def _split(text: str) -> list[str]:
    """Split at the commas that are outside brackets."""
    parts: list[str] = []
    depth = 0
    start = 0
    for index, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]] if text.strip() else parts
