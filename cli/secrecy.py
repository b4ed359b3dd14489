"""Take secrets that stand on a command line, where they never belong, out of what is said of it.

A parser's errors repeat what they do not understand, and a file's error its name. A key or a
passphrase in the wrong place would so reach a terminal's history, a log, a report of a bug.
"""

from __future__ import annotations

from collections.abc import Sequence

GROUPS = ("wallet", "voucher")
"""Commands that are given keys and passphrases, by file or terminal: a word may be one."""
PIECE_CHARS = 8
"""A word that is shorter gives little away; and longer pieces of a secret are taken out."""
HIDDEN = "…"


def hidden(text: str, words: Sequence[str], *, parsed: bool = False) -> str:
    """Return an error's text without the secrets among the words of its command line.

    parsed: the parser refused the line, so that any word can be what it is not meant to be.
    """
    for word in sorted(_secrets(words, parsed=parsed), key=len, reverse=True):
        # Long words may have been cut where they are shown.
        for end in range(len(word), PIECE_CHARS - 1, -1):
            if word[:end] in text:
                text = text.replace(word[:end], HIDDEN)
                break
    return text


def _secrets(words: Sequence[str], *, parsed: bool) -> list[str]:
    """Return the words, and values of options, that may be secrets."""
    given = words[:1] if words[:1] and words[0] not in GROUPS else words[1:]
    marked = [word for word in words if "PRIVATE+KEY" in word]
    values = [word.partition("=")[2] for word in given if word.startswith("-") and "=" in word]
    found = []
    for number, word in enumerate([*given, *marked, *values]):
        bare = word.lstrip("-")
        free = parsed and words[0] in GROUPS and number and not word.startswith("-")
        if len(bare) >= PIECE_CHARS and (free or _is_secret(bare)):
            found.append(bare)
    return found


def _is_secret(text: str) -> bool:
    from ..specs.filecoin.keys import is_secret

    return is_secret(text)
