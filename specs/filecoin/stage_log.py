"""The stage log of go-fil-markets and go-data-transfer: what was said in each state.

The originals keep every line in the stored record, which grows with the deal. Here every line is on
the tape anyway, with its time, in the event that wrote it. So the record keeps, for each stage, how
many lines there were and the last one: the data stays small, and so does each entry. As in the
originals, an empty line and a repetition of the last one add nothing.
"""

from __future__ import annotations

from typing import Any


def logged(stage: dict[str, Any] | None, line: str) -> dict[str, Any]:
    """Return a stage (or a new one: None) after `line` was said in it."""
    lines, last = (stage["Lines"], stage["Log"]) if stage else (0, "")
    if line and line != last:
        return {"Lines": lines + 1, "Log": line}
    return {"Lines": lines, "Log": last}
