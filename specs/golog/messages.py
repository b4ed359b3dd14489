"""What go-statemachine says in a log, and what it means.

| words | what happened |
|---|---|
| Invalid transition in queue, state `S`, event `E` | the event was taken from the queue and refused; it is gone |
| Unknown event `E`, Wrong number of arguments …, Incorrect argument type … | nothing was queued: its sender was told |
| Error applying event transition `E`: … | the event's action failed: the step is swallowed, what the action had changed is kept |
| executing step: … | a state's entry failed: the machine takes events for ever and applies none |
| normal shutdown of state machine, terminated | the machine had ended when an event came |
| Executing event planner failed: … (other) | the store failed: the machine's goroutine ended |
| No state for /ID: datastore: key not found | a provider's look-up of a deal among its own retrievals: harmless |

The last one names a deal: ID is the client's, and the time in milliseconds at which its node started
plus the number of deals since.
"""  # noqa: E501

from __future__ import annotations

import re
from dataclasses import dataclass

REFUSED = "Refused"
UNSENT = "Unsent"
FAILED = "ActionFailed"
STUCK = "Stuck"
ENDED = "Ended"
STOPPED = "Stopped"
LOOKED_UP = "LookedUp"

_PATTERNS = (
    (REFUSED, re.compile(r"Invalid transition in queue, state `([^`]*)`, event `([^`]*)`")),
    (UNSENT, re.compile(r"(Unknown event|Wrong number of arguments for event) `([^`]*)`")),
    (UNSENT, re.compile(r"(Incorrect argument type at index `[0-9]*` for event) `([^`]*)`")),
    (FAILED, re.compile(r"Error applying event transition `([^`]*)`:?\s*(.*)", re.DOTALL)),
    (STUCK, re.compile(r"executing step: ()(.*)", re.DOTALL)),
    (LOOKED_UP, re.compile(r"No state for /([0-9]{1,20}): datastore: key not (found)")),
    (ENDED, re.compile(r"(normal shutdown of state machine)()")),
    (ENDED, re.compile(r"Executing event planner failed: (.*\bterminated\b)()")),
    (STOPPED, re.compile(r"Executing event planner failed: ()(.*)", re.DOTALL)),
)
PART_CHARS_MAX = 500


@dataclass(frozen=True)
class Message:
    """What a line says of a machine: the kind, and its two parts.

    REFUSED: state and event. UNSENT: what is wrong, and the event. FAILED: the event, and the
    error. STUCK, STOPPED: nothing, and the error. LOOKED_UP: the deal's ID. ENDED: the words.
    """

    kind: str
    first: str
    second: str


def find_message(text: str) -> Message | None:
    """Return what a line says of a machine, or None."""
    for kind, pattern in _PATTERNS:
        match = pattern.search(text)
        if match:
            first, second = (_shown(part) for part in match.groups())
            return Message(kind, first, second)
    return None


def _shown(part: str) -> str:
    text = part[:PART_CHARS_MAX].strip()
    return "".join(char if char.isprintable() else " " for char in text)
