"""The text of an expression: its tokens checked, then parsed by Python, within bounds.

Theory of operation. Each token has to be one of the language before Python's parser sees the text:
so no construct that Python warns about gets there, and every name is ASCII. A word that is a
keyword of Python only (`from`) is a good name here; its first letter goes to the parser in full
width. Python takes that for a name, not for the keyword, and gives it back as it was written
(identifiers are normalised, PEP 3131). As many characters go in as the author wrote, so a place in
the one text is the same place in the other.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable

from .errors import SpecError

TEXT_MAX = 2_000
NODES_MAX = 400
DEPTH_MAX = 100

_WORDS = frozenset(["and", "or", "not", "in", "is", "if", "else", "for", "True", "False", "None"])
_NAMES = frozenset(keyword.kwlist) - _WORDS
"""Python's keywords that are names here."""
_FULL_WIDTH = 0xFEE0

_ESCAPE = r"\\(?:[\\'\"nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_TOKEN = re.compile(
    rf"(?P<long>'''|\"\"\")|(?P<text>'(?:[^'\\\n\r]|{_ESCAPE})*'|\"(?:[^\"\\\n\r]|{_ESCAPE})*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9][A-Za-z0-9_.]*)"
    r"|(?P<other>#[^\n\r]*|[\n\t !$-&(-\[\]-~])"
)
_NUMBER = re.compile(r"[0-9_]+|0[xX][0-9a-fA-F_]+")
_UNFINISHED = "'\"\\"


class Source:
    """One expression as its author wrote it. `at(offset)` gives the place of a character in it."""

    def __init__(self, text: str, at: Callable[[int], str]) -> None:
        self.text = text
        self.at = at
        self.lines: list[str] = []

    def parse(self) -> ast.expr:
        """Return the expression as a tree of bounded size and depth, or raise SpecError."""
        if len(self.text) > TEXT_MAX:
            why = f"an expression has at most {TEXT_MAX} characters"
            raise SpecError(why, place=self.at(0))
        escaped = self._escape()
        self.lines = escaped.split("\n")
        try:
            tree = ast.parse(escaped, mode="eval").body
        except SyntaxError as error:
            offset = self._begins(error.lineno or 1) + max(0, (error.offset or 1) - 1)
            raise self.error(f"not an expression: {error.msg}", offset) from None
        except (ValueError, RecursionError, MemoryError):
            raise self.error("not an expression") from None
        self._bound(tree)
        return tree

    def error(self, message: str, offset: int = 0) -> SpecError:
        """Build the error for the character at `offset`."""
        return SpecError(f"{message} in `{self.text}`", place=self.at(offset))

    def fail(self, message: str, node: ast.expr) -> SpecError:
        """Build the error for a part."""
        return self.error(message, self._offset(node.lineno, node.col_offset))

    def segment(self, node: ast.expr) -> str:
        """Return a part as its author wrote it."""
        end = self._offset(node.end_lineno or 1, node.end_col_offset or 0)
        return self.text[self._offset(node.lineno, node.col_offset) : end]

    def _begins(self, line: int) -> int:
        return sum(len(before) + 1 for before in self.lines[: line - 1])

    def _offset(self, line: int, column: int) -> int:
        """Return which character is meant: the parser counts lines from 1, and columns in bytes."""
        return self._begins(line) + len(self.lines[line - 1].encode()[:column].decode())

    def _escape(self) -> str:
        """Return the text with full-width names, if every token is one of the language."""
        pieces: list[str] = []
        at = 0
        while at < len(self.text):
            token = _TOKEN.match(self.text, at)
            if token is None or token["long"]:
                wrong = self.text[at]
                why = f"{wrong!a} cannot stand here"
                if wrong in _UNFINISHED:
                    why = "a text without its end, or with an unknown escape"
                raise self.error(f"not an expression: {why}", at)
            word = token[0]
            if token["number"] and not _NUMBER.fullmatch(word):
                raise self.error(f"not an expression: {word} is not a whole number", at)
            if word in _NAMES:
                word = chr(ord(word[0]) + _FULL_WIDTH) + word[1:]
            pieces.append(word)
            at = token.end()
        return "".join(pieces)

    def _bound(self, tree: ast.expr) -> None:
        """Refuse more parts, or parts deeper in one another, than any rule needs."""
        level: list[ast.AST] = [tree]
        count = depth = 0
        while level:
            count += len(level)
            depth += 1
            if count > NODES_MAX or depth > DEPTH_MAX:
                why = f"more than {NODES_MAX} parts, or {DEPTH_MAX} in one another"
                raise self.fail(why, tree)
            level = [
                child
                for node in level
                for child in ast.iter_child_nodes(node)
                if isinstance(child, ast.expr | ast.comprehension)
            ]
