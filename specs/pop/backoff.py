"""How long to wait before the next try: a minimum that doubles up to a limit."""

from __future__ import annotations

_DOUBLINGS_MAX = 64


def backoff(minimum: int, attempt: int, most: int) -> int:
    """Return the wait after `attempt` earlier tries (0: the first), in microseconds."""
    return min(minimum << min(attempt, _DOUBLINGS_MAX), most)


def rounds(attempts: int, minimum: int, most: int) -> int:
    """Return how long a first try and `attempts` further ones wait altogether, in microseconds."""
    whole = 0
    for attempt in range(min(attempts, _DOUBLINGS_MAX) + 1):
        whole += backoff(minimum, attempt, most)
    return whole + max(attempts - _DOUBLINGS_MAX, 0) * backoff(minimum, _DOUBLINGS_MAX, most)
