"""Links: whether a text may name the other end of a hand-over."""

from __future__ import annotations

from ...fsm.entry import names_instance


def is_link(link: str, machine: str) -> bool:
    """Whether `link` is empty or names an instance of `machine`, or of a machine below it.

    A link is checked where it enters: an event cannot be raised to a text that names no instance,
    so a bad one would make every later hand-over fail.
    """
    if link == "":
        return True
    named = link.partition("/")[0]
    return names_instance(link) and (named == machine or named.startswith(f"{machine}."))
