"""Keys of a log's instances: a story's key, and behind it the state that a machine was seen in."""

from __future__ import annotations


def key_in(story: str, state: str) -> str:
    """Return the key of the machine that a story shows in a state."""
    return f"{story}.{state}"


def story_of(key: str) -> str:
    """Return the name of the story that the machine of a key belongs to."""
    return f"golog.story/{key.rpartition('.')[0] or key}"


FUNCTIONS = {"story_of": story_of}
