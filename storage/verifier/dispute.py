"""Verify a dispute bundle offline, with public keys alone: steps 1 to 10a of its verification.

See the package's docstring for how to run it where nothing else of statetape is.

D1  A bundle is a POSIX ustar archive in one form only: there is one archive of given members.
D2  Nothing in a bundle is trusted. Entries, checkpoints, proofs and signed objects are read; what
    every other member must be follows from them, and is compared byte by byte.
D3  All problems are listed, each under its step and its code, whatever the input is. Nothing
    raises, and time and memory are bounded by the input's size, which is limited.

docs/reference/bundle.md says what each member holds and what each code means. Deciding the entries
again by the machine's text (10b) and what a system says of its own objects (11) need statetape.
"""

from __future__ import annotations

import argparse
import base64
import bisect
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from . import log

Checkpoint = log.Checkpoint
EvidenceInvalid = log.EvidenceInvalid
Keys = Sequence[log.VerifierKey]

FORMAT = "fsm-dispute@v1"
BUNDLE_BYTES_MAX = 256 * 1024 * 1024
ENTRIES_BYTES_MAX = 64 * 1024 * 1024
ENTRY_BYTES_MAX = 65_535
FOLDERS = {"checkpoints/": 1_001, "spec/": 100}
"""How many members these may have: each costs far more time than its bytes."""
NUMBER_MAX = 2**53
CLOCKS_APART_S = 300
"""A tape's clock may be this far ahead of a witness's before they contradict each other."""
LAST_DATE_S = 253_402_300_799
_BLOCK = 512
_P = "[0-9]{12}"
_MEMBERS = tuple(
    (re.compile(pattern), step, code)
    for pattern, step, code in (
        (rf"checkpoints/{_P}\.note", 2, "checkpoint-not-signed"),
        (rf"consistency/{_P}-{_P}\.txt", 6, "not-consistent"),
        (rf"entries/{_P}\.json", 4, "entry-invalid"),
        (r"keys\.txt", 1, "keys-invalid"),
        (r"manifest\.(?:json|sha256)", 1, "manifest-differs"),
        (rf"proofs/{_P}\.tlog-proof", 5, "not-included"),
        (r"replay\.json", 10, "states-differ"),
        (rf"spec/{_P}\.yaml", 9, "machine-differs"),
        (r"vouchers/[0-9a-f]{64}\.txt", 1, "object-not-named"),
    )
)
_TOOL = re.compile(rb'"tool":"([A-Za-z0-9 .+-]{1,64})"\}\n\Z')
_QUOTED = re.compile(rb'"([A-Za-z0-9_=-]{16,})"')

NOTHING = Checkpoint("", 0, log.EMPTY_ROOT)
NOT_PROVED = (
    "that nothing was left out when the log was written, or that what it says is true",
    "that no later entry of these instances exists, on this log or elsewhere",
)
NO_PAYLOAD = "what is hashed is all there is: an entry has no payload apart from its bytes (step 7)"
NOT_HERE = "steps 10b (the machine decides the same) and 11 (the system's rules): statetape does"


class Problem(NamedTuple):
    """What is wrong: in which step, by its stable code, in which member, and in words."""

    step: int
    code: str
    place: str
    message: str


class Seen(NamedTuple):
    """A witness whose key was given saw the first `size` entries at `time_s` (POSIX)."""

    size: int
    time_s: int
    witness: str
    public: bytes = b""

    @property
    def when(self) -> str:
        """The time for people."""
        if self.time_s > LAST_DATE_S:
            return f"second {self.time_s}"
        return f"{datetime.fromtimestamp(self.time_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


# what follows from what, for whoever makes a bundle and whoever checks one


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return the one archive (POSIX ustar) of these members, in the order of their names."""
    blocks = []
    for name, content in sorted(members.items()):
        head = name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
        head += b"%011o\0%011o\0" % (len(content), 0)
        tail = b"0".ljust(101, b"\0") + b"ustar\x0000".ljust(255, b"\0")
        check = b"%06o\0 " % (sum(head) + sum(tail) + 8 * ord(" "))
        blocks += [head, check, tail, content, bytes(-len(content) % _BLOCK)]
    return b"".join([*blocks, bytes(2 * _BLOCK)])


def canonical(value: Any) -> bytes:
    """Return JSON in the form that entries have: sorted members, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def claims(states: Sequence[Mapping[str, Any]], rows: Mapping[int, Any]) -> bytes:
    """Return replay.json: the digest of each folded instance, and its state after each entry."""
    digests = {pos: hashlib.sha256(canonical(row)).hexdigest() for pos, row in rows.items()}
    ends = [{"digest": digests[pos], "instance": pos} for pos in sorted(rows)]
    lines = [b",\n".join(map(canonical, told)) for told in (ends, states)]
    return b'{"instances":[\n%b\n],"states":[\n%b\n]}\n' % tuple(lines)


def manifest(
    members: Mapping[str, bytes], rows: Mapping[int, Any], newest: Checkpoint, tool: str
) -> dict[str, bytes]:
    """Return the two members that say what the others are. `rows`: the instances, folded."""
    told = {
        "as_of": newest.size,
        "format": FORMAT,
        "instances": [_without_data(rows[pos]) for pos in sorted(rows)],
        "members": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
        "origin": newest.origin,
        "tool": tool,
    }
    content = canonical(told) + b"\n"
    line = f"{hashlib.sha256(content).hexdigest()}  manifest.json\n"
    return {"manifest.json": content, "manifest.sha256": line.encode()}


def _without_data(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "data"}


def machine_digest(text: str, functions: str) -> str:
    """Return the digest of a machine: of its text, and of the functions that it names."""
    content = f"statetape machine\n{text}\n{functions}"
    return hashlib.sha256(content.encode()).hexdigest()


def merge(target: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """Apply a JSON merge patch (RFC 7396) to `target` in place."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            if not isinstance(target.get(name), dict):
                target[name] = {}
            merge(target[name], value)
        else:
            target[name] = value


class Bundle:
    """A bundle, checked by the steps that need no machine: `problems` lists all that is wrong.

    Only the keys given are trusted. `threshold`: how many of `witnesses` must have seen every
    entry. `entries` by position as parsed, `rows` the instances as folded, by position.
    """

    def __init__(self, data: bytes, logs: Keys, witnesses: Keys = (), threshold: int = 0) -> None:
        self.problems: list[Problem] = []
        self.members: dict[str, bytes] = {}
        self.expected: dict[str, bytes] = {}
        self.entries: dict[int, dict[str, Any]] = {}
        self.rows: dict[int, dict[str, Any]] = {}
        self.checkpoints: list[Checkpoint] = []
        self.seen: list[Seen] = []
        self.witnessed: Seen | None = None
        """The earliest checkpoint over every entry that the threshold of witnesses saw."""
        self._states: list[dict[str, Any]] = []
        self._names: set[str] = set()
        self._machines: dict[int, set[str]] = {}
        """By the position of a machine: what the instances that have it call it."""
        self._quoted: set[bytes] = set()
        self._run(data, logs, witnesses, threshold)
        self.problems.sort()

    def _run(self, data: bytes, logs: Keys, witnesses: Keys, threshold: int) -> None:
        with self._checked("archive", 1, "archive-invalid"):
            self._take_apart(data)
        for name in self._under("checkpoints/"):
            with self._checked(name):
                self._read_checkpoint(name, logs, witnesses)
        if not self.problems and not self.checkpoints:
            self.add("checkpoints", "there is none", 2, "checkpoint-not-signed")
        for old, new in pairwise(self.checkpoints):
            name = f"consistency/{old.size:012}-{new.size:012}.txt"
            with self._checked(name):
                self._check_consistency(name, old, new)
        for name in self._under("entries/"):
            with self._checked(name):
                self._read_entry(name, self.members[name])
        if not self.problems and not self.rows:
            self.add("entries", "there is no instance", 8, "sequence-broken")
        with self._checked("checkpoints", 3, "cosignatures-missing"):
            self._check_witnesses(threshold, {key.public for key in logs})
        self._check_times()
        for spec in sorted(self._machines):
            name = f"spec/{spec:012}.yaml"
            with self._checked(name):
                self._check_machine(name, spec)
        with self._checked("keys.txt"):
            self._read_keys()
        self._compare()

    @property
    def newest(self) -> Checkpoint:
        """The checkpoint that the proofs lead to; of nothing, where the bundle has none."""
        return self.checkpoints[-1] if self.checkpoints else NOTHING

    @contextmanager
    def _checked(self, place: str, step: int = 0, code: str = "") -> Iterator[None]:
        """Note a problem where the evidence does not hold, and go on."""
        try:
            yield
        except (ValueError, RecursionError) as error:
            self.add(place, str(error)[:500], step, code)

    def add(self, place: str, message: str, step: int = 0, code: str = "") -> None:
        """Note a problem; of a member, by default with its own step and code."""
        if not step:
            step, code = next((s, c) for name, s, c in _MEMBERS if name.fullmatch(place))
        self.problems.append(Problem(step, code, place, printable(message)))

    def _under(self, folder: str) -> list[str]:
        return sorted(name for name in self.members if name.startswith(folder))

    def _member(self, name: str) -> bytes:
        if name not in self.members:
            raise EvidenceInvalid("it is missing")
        return self.members[name]

    def _take_apart(self, data: bytes) -> None:
        """Step 1 (D1): the bundle is the archive of its members, all with names of a bundle's."""
        at = 0
        if len(data) > BUNDLE_BYTES_MAX:
            raise EvidenceInvalid(f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
        while any(data[at : at + _BLOCK]):
            name = data[at : at + 100].rstrip(b"\0").decode()
            if not any(known.fullmatch(name) for known, _, _ in _MEMBERS):
                raise EvidenceInvalid(f"byte {at}: a bundle has no member {name!r}")
            digits = data[at + 124 : at + 135]
            if not re.fullmatch(b"[0-7]{11}", digits):
                raise EvidenceInvalid(f"byte {at}: {name} has no size")
            start = at + _BLOCK
            at = start + int(digits, 8)
            self.members[name] = data[start:at]
            at += -at % _BLOCK
        for folder, most in FOLDERS.items():
            if len(self._under(folder)) > most:
                self.members = {}
                raise EvidenceInvalid(f"{folder} has more than {most} members")
        if sum(len(self.members[name]) for name in self._under("entries/")) > ENTRIES_BYTES_MAX:
            self.members = {}
            raise EvidenceInvalid(f"its entries have more than {ENTRIES_BYTES_MAX} bytes")
        made = archive(self.members)
        if made != data:
            parts = range(0, len(made), _BLOCK)
            there = next((p for p in parts if made[p : p + _BLOCK] != data[p : p + _BLOCK]), at)
            why = f"it is not the one archive of its members, from byte {there} on"
            raise EvidenceInvalid(why)

    def _read_checkpoint(self, name: str, logs: Keys, witnesses: Keys) -> None:
        """Steps 2 and 3: the log itself signed it, and these witnesses saw it."""
        note = self.expected[name] = self.members[name]
        read = log.parse_note(note)
        checkpoint = log.parse_checkpoint(read.text)
        if (checkpoint.text, f"checkpoints/{checkpoint.size:012}.note") != (read.text, name):
            raise EvidenceInvalid("it is not a checkpoint of the size in its name")
        self.checkpoints.append(checkpoint)
        if checkpoint.origin != self.checkpoints[0].origin:
            raise EvidenceInvalid(f"it is of another log than {self.checkpoints[0].origin}")
        lines = {(line.name, line.key_id) for line in read.signatures}
        for key in dict.fromkeys(witnesses):
            if key.kind == log.COSIGNER and (key.name, key.id) in lines:
                with self._checked(name, 3, "cosignature-invalid"):
                    _, signature = log.open_note(note, [key]).signed[0]
                    seen = Seen(checkpoint.size, signature.time_s or 0, key.name, key.public)
                    self.seen.append(seen)
        log.open_checkpoint(note, logs)

    def _check_consistency(self, name: str, old: Checkpoint, new: Checkpoint) -> None:
        """Step 6: each checkpoint extends the one before."""
        lines = self._member(name).decode().splitlines()
        hashes = [log.decode_base64(line, "a hash") for line in lines]
        self.expected[name] = b"".join(base64.b64encode(one) + b"\n" for one in hashes)
        log.check_consistency(old.size, new.size, hashes, old.root, new.root)

    def _read_entry(self, name: str, body: bytes) -> None:
        """Steps 4 and 5: the entry's own bytes, hashed, are in the tree at its position."""
        pos = int(name[8:20])
        place = f"proofs/{pos:012}.tlog-proof"
        with self._checked(place):
            proof = log.parse_proof(self._member(place))
            note = self._member(f"checkpoints/{self.newest.size:012}.note")
            self.expected[place] = log.Proof(pos - 1, proof.hashes, note).content
            leaf, size = log.leaf_hash(body), self.newest.size
            log.check_inclusion(pos - 1, size, leaf, proof.hashes, self.newest.root)
        self.expected[name] = body
        if len(body) > ENTRY_BYTES_MAX:
            raise EvidenceInvalid(f"an entry has at most {ENTRY_BYTES_MAX} bytes")
        entry = json.loads(body, parse_float=_no_entry_has, parse_constant=_no_entry_has)
        if not isinstance(entry, dict) or canonical(entry) != body or entry.get("pos") != pos:
            raise EvidenceInvalid("it is not the canonical form of the entry at that position")
        _check_members(entry)
        self.entries[pos] = entry
        self._quoted.update(_QUOTED.findall(body))
        if entry.get("tape") == "spec":
            self._machines.setdefault(pos, set())
        else:
            with self._checked(name, 8, "sequence-broken"):
                self._follow(pos, entry)

    def _follow(self, pos: int, entry: dict[str, Any]) -> None:
        """Steps 8 and 10a: it is the next of its instance, which it changes as it says."""
        owner, seq = entry.get("instance", pos), entry.get("seq", 0)
        if "tape" in entry:
            raise EvidenceInvalid("it is about the tape, and about no instance")
        row = self.rows.get(owner)
        if row is None:
            if owner != pos or "create" not in entry or "outcome" in entry:
                raise EvidenceInvalid("the entry that created its instance is missing")
            if entry["create"] in self._names:
                raise EvidenceInvalid(f"{entry['create']} was created before")
            self._names.add(entry["create"])
            self.rows[pos] = row = {"data": {}, "name": entry["create"], "pos": pos, "seq": 0}
            row |= {"spec": entry.get("spec", 0), "state": ""}
            machine, slash, key = entry["create"].partition("/")
            self._machines.setdefault(row["spec"], set()).add(machine)
            if not (slash and machine and key):
                raise EvidenceInvalid(f"{named(entry['create'])} names no instance")
        if "outcome" in entry and ("set" in entry or "to" in entry):
            raise EvidenceInvalid("it was not accepted, and changes something")
        before, row["seq"], row["last"] = row["seq"], seq, pos
        merge(row["data"], entry.get("set", {}))
        row["state"] = entry.get("to", row["state"])
        self._states.append({"instance": owner, "pos": pos, "seq": seq, "state": row["state"]})
        if seq != before + 1:
            raise EvidenceInvalid(f"entry {seq} of {row['name']} follows entry {before}")

    def _check_witnesses(self, threshold: int, logs: set[bytes]) -> None:
        """Step 3: every entry is under a checkpoint that enough of the witnesses saw."""
        for seen in self.seen:
            if seen.public in logs:
                raise EvidenceInvalid(f"{seen.witness} has the log's own key: it is no witness")
        last = max(self.entries, default=0)
        over: dict[int, dict[bytes, Seen]] = {}
        for seen in self.seen:
            if seen.size >= last:
                over.setdefault(seen.size, {})[seen.public] = seen
        needed = max(threshold, 1)
        for size, by_key in over.items():
            if len(by_key) >= needed and self.witnessed is None:
                some = sorted(by_key.values(), key=lambda seen: seen.time_s)[:needed]
                names = ", ".join(sorted(seen.witness for seen in some))
                self.witnessed = Seen(size, some[-1].time_s, names)
        if threshold > 0 and self.witnessed is None:
            why = f"no checkpoint over all entries, up to {last}, has cosignatures of {threshold}"
            raise EvidenceInvalid(f"{why} of the witnesses given")

    def _check_times(self) -> None:
        """Step 3: a witness's times do not fall, and no entry is younger than its witness."""
        for one, other in pairwise(sorted(self.seen, key=lambda seen: (seen.public, seen.size))):
            if one.public == other.public and one.time_s > other.time_s:
                why = f"{one.witness} saw {one.size} entries after it saw {other.size}"
                self.add(f"checkpoints/{other.size:012}.note", why, 3, "cosignature-times")
        positions = sorted(self.entries)
        recorded = [0]
        for pos in positions:
            entry = self.entries[pos]
            recorded.append(max(recorded[-1], entry.get("recorded", entry["at"])))
        for seen in self.seen:
            newest_s = recorded[bisect.bisect_right(positions, seen.size)] // 1_000_000
            if newest_s > seen.time_s + CLOCKS_APART_S:
                why = f"{seen.witness} saw at {seen.when} what says that it was recorded later"
                self.add(f"checkpoints/{seen.size:012}.note", why, 3, "cosignature-times")

    def _check_machine(self, name: str, spec: int) -> None:
        """Step 9: the text is that of the entry which the creation names, and gives its digest."""
        entry = self.entries.get(spec, {})
        if entry.get("tape") != "spec":
            raise EvidenceInvalid(f"entry {spec}, which holds the machine, is missing")
        text, functions = entry.get("text", ""), entry.get("functions", "")
        self.expected[name] = text.encode()
        if machine_digest(text, functions) != entry.get("digest"):
            raise EvidenceInvalid("text and functions do not give the digest that was recorded")
        if self._machines[spec] != {entry.get("machine")}:
            others = ", ".join(map(named, sorted(self._machines[spec]))) or "no instance"
            raise EvidenceInvalid(f"{entry.get('machine')} is the machine of {others}")

    def _read_keys(self) -> None:
        """Step 1: keys.txt is a list of keys. They are shown, and trusted by nobody."""
        self.expected["keys.txt"] = self._member("keys.txt")
        for line in self.expected["keys.txt"].decode().splitlines():
            log.parse_verifier_key(line)

    def _compare(self) -> None:
        """Step 1 (D2): every member is what follows from the others, and none is left over."""
        for name in self._under("vouchers/"):
            if self._quoted.issuperset(self.members[name].splitlines()):
                self.expected[name] = self.members[name]
        listed = {n: c for n, c in self.members.items() if not n.startswith("manifest.")}
        tool = _TOOL.search(self.members.get("manifest.json", b""))
        told = tool[1].decode() if tool else ""
        with self._checked("replay.json"):  # data that is nested too deeply has no digest
            self.expected["replay.json"] = claims(self._states, self.rows)
            self.expected |= manifest(listed, self.rows, self.newest, told)
        known = {problem.place for problem in self.problems}
        used = {f"spec/{spec:012}.yaml" for spec in self._machines}
        for name in sorted(self.expected.keys() | self.members.keys()):
            ours, theirs = self.expected.get(name), self.members.get(name)
            if ours == theirs or (name in known and (ours is None or theirs is None)):
                continue
            why = "it is missing" if theirs is None else "nothing in the bundle calls for it"
            if ours is not None and theirs is not None:
                why = "it is not what follows from the other members" + _where(ours, theirs)
            elif name.startswith("spec/") and name not in used:
                why = "no instance in the bundle has this machine"
            self.add(name, why)

    def told(self, problems: Sequence[Problem] = (), held: Sequence[str] = ()) -> list[str]:
        """Return what was found, for people: all problems, or what is proved and what is not.

        problems, held: what the other steps found, if somebody took them.
        """
        problems = problems or self.problems
        newest = self.newest
        many = [_many(len(self.entries), "entry", "entries"), _many(len(self.rows), "instance")]
        origin = named(newest.origin or "nothing")
        lines = [f"{origin}: {many[0]}, {many[1]}"]
        if problems:
            lines += [f"step {p.step}, {p.code}: {p.place}: {p.message}" for p in problems]
            return [*map(printable, lines), f"refused: {_many(len(problems), 'problem')}"]
        lines.append("proved:")
        why = f"these bytes, in this order, are in the log that signed {newest.size} entries"
        lines.append(f"  {why} as {origin}")
        lines.append(f"  {NO_PAYLOAD}")
        for row in self.rows.values():
            what = f"entries 1 to {row['seq']}, none missing between them"
            lines.append(f"  {named(row['name'])}: {what}; at {row['last']} {named(row['state'])}")
        if self.witnessed is None:
            lines.append("  when that was, only by the log's own clock: no witness vouches for it")
        else:
            by = f"by {self.witnessed.witness}"
            lines.append(f"  all of them existed before {self.witnessed.when}, {by}")
        lines += [f"  {one}" for one in held]
        return [*map(printable, lines), "not proved:", *(f"  {one}" for one in NOT_PROVED)]


def _many(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def printable(text: str) -> str:
    """Return a stranger's text so that it does nothing to a terminal, and looks like no other."""
    return "".join(char if " " <= char <= "~" else ascii(char)[1:-1] for char in text)


def named(text: str) -> str:
    """Return a name for a sentence of ours: in quotes, where it could pass for part of that."""
    return text if re.fullmatch("[!-~]+", text) else ascii(text)


def _no_entry_has(text: str) -> Any:
    raise EvidenceInvalid(f"no entry has a number such as {text[:40]}")


def _check_members(entry: Mapping[str, Any]) -> None:
    """Refuse an entry whose members, as far as they are used here, have other types."""
    for name in ("at", "instance", "recorded", "seq", "spec"):
        number = entry.get(name, 1)
        if type(number) is not int or not abs(number) <= NUMBER_MAX:
            raise EvidenceInvalid(f"its `{name}` is no number")
        if number < 1 and name not in ("at", "recorded"):
            raise EvidenceInvalid(f"its `{name}` is below 1")
    for name in ("create", "digest", "functions", "machine", "text", "to"):
        if not isinstance(entry.get(name, ""), str):
            raise EvidenceInvalid(f"its `{name}` is no text")
    if "at" not in entry or not isinstance(entry.get("set", {}), dict):
        raise EvidenceInvalid("it lacks a time, or what it sets is no object")


def _where(ours: bytes, theirs: bytes) -> str:
    """Return the first line that differs, where there are lines to compare."""
    pairs = zip(ours.splitlines(), theirs.splitlines(), strict=False)
    for number, (own, other) in enumerate(pairs, 1):
        if own != other and len(own) < 200 and len(other) < 200:
            return f": line {number} is {other.decode('utf-8', 'replace')}, not {own.decode()}"
    return ""


def main() -> int:
    """Verify a bundle by steps 1 to 10a: 0 it holds, 1 it does not, 2 nothing was verified."""
    parser = argparse.ArgumentParser(description="Verify a dispute bundle, offline.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--log-key", action="append", required=True, metavar="VKEY")
    parser.add_argument("--witness-key", action="append", default=[], metavar="VKEY")
    parser.add_argument("--threshold", type=int, metavar="K", help="default: all witnesses given")
    given = parser.parse_args()
    try:
        logs = [log.parse_verifier_key(key) for key in given.log_key]
        witnesses = [log.parse_verifier_key(key) for key in given.witness_key]
        with given.bundle.open("rb") as file:
            data = file.read(BUNDLE_BYTES_MAX + 1)
    except (OSError, EvidenceInvalid) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    many = len({key.public for key in witnesses})
    threshold = many if given.threshold is None else given.threshold
    if not 0 <= threshold <= many:
        sys.stderr.write(f"--threshold is {threshold}, and {many} witnesses are given\n")
        return 2
    bundle = Bundle(data, logs, witnesses, threshold)
    sys.stdout.write("\n".join(bundle.told()) + "\n")
    sys.stdout.write(f"not checked here: {NOT_HERE}\n")
    return 1 if bundle.problems else 0
