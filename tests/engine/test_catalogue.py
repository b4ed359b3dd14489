"""What belongs to a bundled machine: its functions' sources are part of its digest."""

from __future__ import annotations

import shutil

import pytest
from statetape.engine import catalogue


@pytest.mark.parametrize("changed", ["pop/serving.py", "pop/linking.py", "filecoin/metering.py"])
def test_a_changed_source_is_another_digest(tmp_path, monkeypatch, changed):
    """Its own, a sibling's, and that of another system which it imports."""
    folder = shutil.copytree(catalogue.folder(), tmp_path / "specs")
    before = catalogue.library("pop.serving").digest
    monkeypatch.setattr(catalogue, "folder", lambda: folder)
    library = catalogue.library.__wrapped__
    copied = library("pop.serving").digest
    (folder / changed).write_text((folder / changed).read_text() + "\n# changed\n")
    after = library("pop.serving").digest

    assert copied == before
    assert after != before


def test_a_source_that_is_not_imported_does_not_count(tmp_path, monkeypatch):
    """The control: another module of the same system may change."""
    folder = shutil.copytree(catalogue.folder(), tmp_path / "specs")
    (folder / "pop/selection.py").write_text("# changed\n")
    before = catalogue.library("pop.serving").digest
    monkeypatch.setattr(catalogue, "folder", lambda: folder)

    assert catalogue.library.__wrapped__("pop.serving").digest == before
