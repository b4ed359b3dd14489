"""Find an instance by what somebody typed: its full name, or its key alone.

However many instances there are, finding one is a look-up for each machine part that names have:
the index on names is left behind one machine part at a time. Only where nothing was found, and the
tape is small, are all names looked through for one that comes near.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ..fsm.fold import Folded
from ..storage import projection
from ..storage.reader import Reader

FEW = 2000
"""Instances that can all be looked through."""
AROUND = 20
"""Names looked at on either side of where a name would stand, on a tape that has more."""
PARTS_AROUND = 50
NEAR_MAX = 3
COUNTERPARTS_MAX = 8


class Names:
    """The names of a tape's instances: those projected, and those in `tail`."""

    def __init__(self, reader: Reader, tail: list[Folded]) -> None:
        self._reader = reader
        self._tail = {folded.name for folded in tail}

    def __contains__(self, name: str) -> bool:
        return name in self._tail or projection.instance_by_name(self._reader, name) is not None

    def meant(self, text: str) -> list[str]:
        """Return the full names that `text` may mean: itself, or all that have it as their key."""
        if text in self:
            return [text]
        return [name for part in self.parts() if (name := f"{part}/{text}") in self]

    def counterparts(self, key: str) -> list[str]:
        """Return the names that another tape's instance of this key may have here.

        The two sides of one deal have its number in common: one may put its peer before it, as in
        `client/7`. So a name is meant whose key is this one, ends with it, or is its end.
        """
        _, *ends = (key.split("/", cut)[-1] for cut in range(key.count("/") + 1))
        found = [name for one in (key, *ends) for name in self.meant(one)]
        ending = f"/{key}"
        found += projection.names_ending(self._reader, ending, COUNTERPARTS_MAX)
        found += sorted(name for name in self._tail if name.endswith(ending))
        return list(dict.fromkeys(found))[:COUNTERPARTS_MAX]

    def parts(self) -> list[str]:
        """Return what stands before the slash in names, each once, in order."""
        return sorted({*self._projected_parts(), *(name.partition("/")[0] for name in self._tail)})

    def _projected_parts(self) -> Iterator[str]:
        least = ""
        while found := projection.names_from(self._reader, least, 1):
            name = found[0]
            if name < least:  # an index that leads back would be followed for ever
                raise projection.damaged("a name stands out of order", "table instance")
            part, slash, _ = name.partition("/")
            yield part
            least = f"{part}0" if slash else f"{name}\0"  # "0" comes next after the slash

    def near(self, text: str) -> list[str]:
        """Return names that come near `text`: that go on where it ends, or look like it."""
        known = self._around(text)
        key = text.rpartition("/")[2]
        begin = [name for name in known if name.partition("/")[2].startswith(key) and key]
        by_key = {name.partition("/")[2]: name for name in known}
        like = [by_key[one] for one in difflib.get_close_matches(text, by_key, NEAR_MAX)]
        like += difflib.get_close_matches(text, known, NEAR_MAX)
        return list(dict.fromkeys(begin + like))[:NEAR_MAX]

    def _around(self, text: str) -> list[str]:
        """Return names to compare with: all of them where they are few, else those around it."""
        reader = self._reader
        if len(projection.names_from(reader, "", FEW + 1)) <= FEW:
            named = {row.name for row in projection.instances(reader)}
        else:
            key = text.rpartition("/")[2]
            named = set()
            for part in self.parts()[:PARTS_AROUND]:
                place = f"{part}/{key}"
                named |= set(projection.names_from(reader, place, AROUND))
                named |= set(projection.names_before(reader, place, AROUND))
        return sorted(named | self._tail)
