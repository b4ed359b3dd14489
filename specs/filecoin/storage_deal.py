"""What the storage deal machines' expressions call: the stage log and the statuses of the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .stage_log import logged
from .statuses import STORAGE, name_of, number_of


def decimal(number: int) -> str:
    """Return a number as text."""
    return str(number)


def status_name(status: str) -> str:
    """Return the name that go-fil-markets prints for a storage deal's status."""
    return name_of(status, STORAGE)


def status_number(status: str) -> str:
    """Return the number of a storage deal's status, as text."""
    return number_of(status, STORAGE, "StorageDeal")


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "decimal": decimal,
    "decimal_epoch": decimal,
    "logged": logged,
    "status_name": status_name,
    "status_number": status_number,
}
