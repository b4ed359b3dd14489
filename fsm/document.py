"""A machine's file: YAML in, plain data and the place of every part out.

Only the YAML that a machine needs: mappings with string or integer keys, lists, and scalars. Only
`true`, `false`, `null` and decimal integers are not text (so `on`, `no` and `12:30` stay what they
look like). Anchors, aliases, tags, duplicate keys, several documents, and anything large or deep
are refused before it is built, so a hostile file costs no more than its own size.

What a file says must not depend on who reads it. PyYAML's own parser is the authority. libyaml,
where it is there, is ten times as fast and reads ordinary files alike; a file that is odd (`_ODD`),
or that it refuses, is read by the authority. tests/fuzz/test_documents.py compares the two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from .errors import SpecError

FILE_BYTES_MAX = 56_000
"""A spec becomes one entry of a tape, and an entry has at most 64 KiB."""
NODES_MAX = 20_000
DEPTH_MAX = 40

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Position:
    """Line and column, both from 1, and whether the scalar there is one line as it was written."""

    line: int
    column: int
    plain: bool = True


@dataclass(frozen=True)
class Document:
    """Plain data of one file, and where each path in it stands."""

    file: str
    data: Any
    positions: dict[Path, Position] = field(repr=False)

    def place(self, path: Path, offset: int = 0) -> str:
        """Return `file:line:column` of `path`; `offset` counts characters within a plain scalar."""
        line, column = self.position(path, offset)
        return f"{self.file}:{line}:{column}"

    def position(self, path: Path, offset: int = 0) -> tuple[int, int]:
        """Return line and column of `path`, or of its nearest ancestor that has a place."""
        for length in range(len(path), -1, -1):
            found = self.positions.get(path[:length])
            if found:
                shift = offset if length == len(path) and found.plain else 0
                return found.line, found.column + shift
        return 1, 1


class _Bounded:
    """YAML whose only implicit types are true, false, null and decimal integers.

    What would cost more than it says is refused as it is read, before anything is built of it.
    """

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text)  # type: ignore[call-arg]
        self._file = file
        self._count = 0
        self._depth = 0

    def get_event(self) -> Any:
        """Return the next part of the file, or raise SpecError if it may not stand there."""
        event: Any = super().get_event()  # type: ignore[misc]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._refuse("anchors and aliases are not part of the language", event)
        if getattr(event, "tag", None):
            raise self._refuse("tags are not part of the language", event)
        if isinstance(event, yaml.CollectionStartEvent):
            self._depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            self._depth -= 1
        self._count += 1
        if self._depth > DEPTH_MAX:
            raise self._refuse(f"nested deeper than {DEPTH_MAX}", event)
        if self._count > NODES_MAX:
            raise self._refuse(f"more than {NODES_MAX} parts", event)
        return event

    def _refuse(self, why: str, event: Any) -> SpecError:
        mark = event.start_mark
        return SpecError(why, place=f"{self._file}:{mark.line + 1}:{mark.column + 1}")


class _Authority(_Bounded, yaml.SafeLoader):
    """The parser that says what a file holds."""


_LOADERS: list[Any] = [_Authority]
_ODD = re.compile(
    r"[^\n -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\U00010000-\U0010ffff]|^(?:---|\.\.\.|%)",
    re.MULTILINE,
)
"""What the two parsers do not treat alike: control characters, and more than one document."""

_HEADER = re.compile(r"[|>][-+]?")

if hasattr(yaml, "CSafeLoader"):

    class _Quick(_Bounded, yaml.CSafeLoader):
        """libyaml's parser, with nodes composed of what it reads as the authority composes them."""

        def __init__(self, text: str, file: str) -> None:
            super().__init__(text, file)
            self.anchors: dict[str, Any] = {}
            self._lines = text.split("\n")
            self._flow = 0

        def get_event(self) -> Any:
            """Return the next part of the file; SpecError too for what the authority may refuse."""
            event = super().get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                self._flow += bool(self._flow or event.flow_style)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._flow -= bool(self._flow)
            elif isinstance(event, yaml.ScalarEvent):
                if event.style in ("|", ">"):
                    mark: Any = event.start_mark
                    if not _HEADER.fullmatch(self._lines[mark.line], mark.column):
                        raise self._refuse("a header of a block that says more", event)
                elif self._flow and _plain(event) and "?" in event.value:
                    raise self._refuse("a ? in flow style", event)
            return event

        get_single_node = yaml.composer.Composer.get_single_node
        compose_document = yaml.composer.Composer.compose_document
        compose_node = yaml.composer.Composer.compose_node
        compose_scalar_node = yaml.composer.Composer.compose_scalar_node
        compose_sequence_node = yaml.composer.Composer.compose_sequence_node
        compose_mapping_node = yaml.composer.Composer.compose_mapping_node

    _LOADERS.append(_Quick)

for _loader in _LOADERS:
    _loader.yaml_implicit_resolvers = {}
    for _tag, _pattern, _first in (
        ("bool", r"(?:true|false)\Z", "tf"),
        ("null", r"(?:null|)\Z", ("n", "")),
        ("int", r"-?(?:0|[1-9][0-9]{0,80})\Z", "-0123456789"),
    ):
        _name = f"tag:yaml.org,2002:{_tag}"
        _loader.add_implicit_resolver(_name, re.compile(_pattern), list(_first))


def read(text: str, file: str) -> Document:
    """Return the document in `text`; `file` is the name that errors give. Raises SpecError."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > FILE_BYTES_MAX:
        why = f"{size} bytes; a machine's file has at most {FILE_BYTES_MAX}"
        raise SpecError(why, place=f"{file}:1:1")
    quick = None if _ODD.search(text) else _read_quickly(text, file)
    return quick or read_exactly(text, file)


def _read_quickly(text: str, file: str) -> Document | None:
    """Return what the quick parser reads, or None where it is not there or refuses anything."""
    if len(_LOADERS) == 1:
        return None
    try:
        node = _LOADERS[1](text, file).get_single_node()
        return _built(node, file)
    except (yaml.YAMLError, SpecError, ValueError, OverflowError):
        return None


def read_exactly(text: str, file: str) -> Document:
    """Return the document in `text` as the authority reads it. Raises SpecError."""
    try:
        node = _Authority(text, file).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1"
        raise SpecError(f"not YAML: {error.problem or error.context}", place=place) from None
    except yaml.reader.ReaderError as error:
        lines = text[: error.position].split("\n")
        place = f"{file}:{len(lines)}:{len(lines[-1]) + 1}"
        raise SpecError("not YAML: a character that no file may hold", place=place) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise SpecError(f"not YAML: {error}".splitlines()[0], place=f"{file}:1:1") from None
    return _built(node, file)


def _built(node: yaml.Node | None, file: str) -> Document:
    positions: dict[Path, Position] = {}
    if node is None:
        raise SpecError("the file is empty", place=f"{file}:1:1")
    return Document(file, _build(node, (), positions, file), positions)


def _build(node: yaml.Node, path: Path, positions: dict[Path, Position], file: str) -> Any:
    positions[path] = _position(node)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, i), positions, file) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, positions, file)
    if node.tag == "tag:yaml.org,2002:int":
        return int(node.value)
    if node.tag == "tag:yaml.org,2002:bool":
        return node.value == "true"
    if node.tag == "tag:yaml.org,2002:null":
        return None
    try:
        node.value.encode()
    except UnicodeEncodeError:
        found = positions[path]
        place = f"{file}:{found.line}:{found.column}"
        raise SpecError("a text that UTF-8 cannot write", place=place) from None
    return node.value


def _plain(part: Any) -> bool:
    """Whether an event or a node is a scalar without quotes."""
    scalar = isinstance(part, yaml.ScalarEvent | yaml.ScalarNode)
    return scalar and part.style not in ("'", '"', "|", ">")


def _position(node: yaml.Node) -> Position:
    """Return where a part begins; a scalar is plain if its characters stand there one by one."""
    start, end = node.start_mark, node.end_mark
    quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
    plain = (
        isinstance(node, yaml.ScalarNode)
        and start.line == end.line
        and end.column - start.column == len(node.value) + 2 * quoted
    )
    return Position(start.line + 1, start.column + 1 + quoted, plain)


def _mapping(
    node: yaml.MappingNode, path: Path, positions: dict[Path, Position], file: str
) -> dict[str | int, Any]:
    built: dict[str | int, Any] = {}
    for key_node, value_node in node.value:
        mark = key_node.start_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise SpecError("a key is one word or number", place=place)
        key = _build(key_node, path, {}, file)
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise SpecError(f"{key_node.value!r} cannot be a key: put it in quotes", place=place)
        if key in built:
            raise SpecError(f"{key!r} stands here twice", place=place)
        built[key] = _build(value_node, (*path, key), positions, file)
        if isinstance(value_node, yaml.ScalarNode):
            absent = not value_node.value and _plain(value_node)
        else:
            absent = value_node.start_mark.line > mark.line
        if absent:
            positions[(*path, key)] = Position(mark.line + 1, mark.column + 1, plain=False)
    return built
