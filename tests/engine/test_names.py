"""Finding an instance by its full name or by its key alone, without looking at all of them."""

from __future__ import annotations

import pytest
from statetape.engine.commands import Create, InstanceUnknown
from statetape.engine.inspect import Inspector
from statetape.engine.names import FEW
from statetape.storage.reader import Reader

from .machines import COUNTER, LEASE, TRANSFER, open_tape


def found(path, *names: str) -> list[str]:
    """Return the full names that these are found by."""
    with Inspector.open(path) as inspector:
        return [inspector.find(name) for name in names]


def test_a_key_is_found_beside_names_that_sort_around_it(tmp_path):
    """Machine parts are skipped one by one, whatever stands before and after the slash."""
    path = tmp_path / "t.db"
    names = ["a-b/1", "a/2", "a.b/3", "a0/4", "a/b/5", "é/6", "zz/7"]
    with open_tape(path) as engine:
        engine.execute_many([Create(COUNTER, name) for name in names])

    assert found(path, "1", "2", "3", "4", "b/5", "6", "7") == names
    assert found(path, *names) == names


def test_a_key_is_found_before_it_is_projected(tmp_path):
    """Among entries that no flush has covered yet; and both kinds together are two."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "old")
        engine.create(COUNTER, "both")
    engine = open_tape(path)
    engine.create(LEASE, "new")
    engine.create(LEASE, "both")

    assert found(path, "old", "new") == ["test.counter/old", "test.lease/new"]
    with pytest.raises(InstanceUnknown) as refused:
        found(path, "both")
    engine.abandon()
    assert refused.value.message == "2 instances have the key 'both' on this tape"
    assert refused.value.hint == "did you mean test.counter/both, test.lease/both?"


def test_a_key_that_nobody_has_names_what_comes_near(tmp_path):
    """One that goes on where it ends, one that is spelt alike; for nothing alike, the list."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPfQe")
        engine.create(COUNTER, "4711")

    for typed, near in (
        ("QmYwAPJ", "test.counter/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPfQe"),
        ("4771", "test.counter/4711"),
        ("test.counter/4771", "test.counter/4711"),
    ):
        with pytest.raises(InstanceUnknown) as refused:
            found(path, typed)
        assert refused.value.hint.startswith(f"did you mean {near}")
    with pytest.raises(InstanceUnknown) as refused:
        found(path, "zzzzzz")
    assert refused.value.hint == "`statetape list` shows them all"


def test_finding_among_many_reads_few_rows(tmp_path, monkeypatch):
    """By key, and for a key that nobody has: the work does not grow with the instances."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.execute_many([Create(COUNTER, f"test.counter/k{n:05}") for n in range(FEW + 1000)])
        engine.create(TRANSFER, "t")
    rows = []
    query = Reader.query

    def counted(self, sql, values=()):
        answer = query(self, sql, values)
        rows.append(len(answer))
        return answer

    with Inspector.open(path) as inspector:
        monkeypatch.setattr(Reader, "query", counted)
        assert inspector.find("k01234") == "test.counter/k01234"
        assert sum(rows) < 10
        with pytest.raises(InstanceUnknown) as refused:
            inspector.find("k0123x")
    assert "test.counter/k0123" in refused.value.hint
    assert sum(rows) < FEW + 200
