"""The text of a machine's file: YAML that a person reads, in lines of at most 100 characters.

What fits on a line stands on one; what does not is broken, states one under another, expressions
folded. So a change of one row is a change of one line.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

WIDTH = 100

_PLAIN = re.compile(r"[A-Za-z0-9_(\[./+-][^\n]*\Z")
_UNSAFE = re.compile(r": |\s#|:$|^\s|\s$|^[-?] |^[\[{]")
_UNSAFE_IN_FLOW = re.compile(r"[\[\]{},?]")
_OTHER = re.compile(r"(?:true|false|null|~|-?[0-9]+)\Z")


def scalar(value: Any, *, inline: bool) -> str:
    """Return a scalar as YAML; `inline`: inside brackets or braces. Texts are quoted if need be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    plain = _PLAIN.match(value) and not _UNSAFE.search(value) and not _OTHER.match(value)
    if plain and not (inline and _UNSAFE_IN_FLOW.search(value)):
        return value
    if '"' not in value and "\\" not in value:
        return f'"{value}"'
    return "'" + value.replace("'", "''") + "'"


def flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value, inline=True)


def member(key: str, value: Any, indent: int) -> list[str]:
    """Return the lines of one member of a mapping."""
    lead = " " * indent
    if not isinstance(value, dict | list):
        return _scalar_member(key, value, lead)
    line = f"{lead}{key}: {flow(value)}"
    if len(line) <= WIDTH and not _deep(value):
        return [line]
    if isinstance(value, dict):
        return [f"{lead}{key}:", *block(value, indent + 2)]
    if all(isinstance(item, str) for item in value):
        return _wrapped(f"{lead}{key}: [", value)
    return [f"{lead}{key}:", *(line for item in value for line in _item(item, indent + 2))]


def block(mapping: dict[str, Any], indent: int) -> list[str]:
    """Return the lines of a mapping."""
    return [line for key, value in mapping.items() for line in member(key, value, indent)]


def prose(text: str, indent: int) -> list[str]:
    """Return a paragraph, or a long expression, folded."""
    lead = " " * indent
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=lead,
        subsequent_indent=lead,
        break_long_words=False,
        break_on_hyphens=False,
    )


def comment(text: str, indent: int) -> list[str]:
    """Return a comment."""
    lead = " " * indent + "# "
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=lead)


def _scalar_member(key: str, value: Any, lead: str) -> list[str]:
    line = f"{lead}{key}: {scalar(value, inline=False)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{lead}{key}: >-", *prose(value, len(lead) + 2)]


def _deep(value: dict[str, Any] | list[Any]) -> bool:
    """Whether a value reads better in several lines: a list of mappings, or mappings three deep."""
    if isinstance(value, list):
        return any(isinstance(item, dict) for item in value) and len(flow(value)) > 60
    unquoted = all(re.fullmatch(r"\w+", str(key)) for key in value)
    return not unquoted or any(
        isinstance(item, dict | list) and _deep(item) for item in value.values()
    )


def _item(item: Any, indent: int) -> list[str]:
    """Return the lines of one item of a list."""
    lead = " " * indent
    line = f"{lead}- {flow(item)}"
    if not isinstance(item, dict) or (len(line) <= WIDTH and not _deep(item)):
        return [line]
    lines = block(item, indent + 2)
    return [f"{lead}- {lines[0].lstrip()}", *lines[1:]]


def _wrapped(opening: str, names: list[str]) -> list[str]:
    """Return a list of names over several lines, one column under another."""
    lead = " " * len(opening)
    lines = textwrap.wrap(
        ", ".join(flow(name) for name in names) + "]",
        WIDTH,
        initial_indent=opening,
        subsequent_indent=lead,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if any(len(line) > WIDTH for line in lines):
        raise ValueError(f"a line of more than {WIDTH} characters: {names}")
    return lines
