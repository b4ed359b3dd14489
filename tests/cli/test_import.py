"""`import FORMAT FILE`: what it prints, what it records, how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import gmtime, strftime, time

import pytest
from statetape.cli.command_import import NOTES_SHOWN, FormatUnknown, import_file
from statetape.engine import importing
from statetape.engine.inspect import Inspector
from statetape.fsm.errors import EXIT_DONE, EXIT_FINDING
from statetape.storage.foreign import ForeignInvalid

SHARED = Path(os.environ.get("STATETAPE_SHARED", Path(__file__).parents[3] / "shared"))
SAMPLES = SHARED / "examples" / "lassie"
RETRIEVAL = "d05a522e-9608-401a-a33f-1eb4ac4111a0"
EVENT = {
    "retrievalId": RETRIEVAL,
    "instanceId": "node-1",
    "cid": "bafybeic4jpi2detp5n3q6rjo7ckulebtr7dsvt2tbrtcqlnnzqmi3bzz2y",
    "storageProviderId": "12D3KooWHwRmkj4Jxfo2YnKJC4YBzTNEGDW6Et4E68r7RYVXk46h",
    "phase": "retrieval",
    "phaseStartTime": "2023-03-02T00:15:50Z",
    "eventName": "started",
    "eventTime": "2023-03-02T00:15:52Z",
}


class Import:
    """The command in this process, on one tape."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self.tape = folder / "tape.db"
        self.capsys = capsys

    def __call__(self, *batches, form="lassie", **options):
        """Import a file of these batches; returns the exit code and what was printed."""
        file = self.folder / "events.json"
        lines = [one if isinstance(one, str) else json.dumps({"events": [one]}) for one in batches]
        file.write_text("\n".join(lines) + "\n")
        return self.file(file, form=form, **options)

    def file(self, file, form="lassie", **options):
        """Import a file; returns the exit code and what was printed."""
        status = import_file(form, file, tape=self.tape, **options)
        return status, self.capsys.readouterr().out


@pytest.fixture
def run(tmp_path, capsys):
    """The import command."""
    return Import(tmp_path, capsys)


def test_a_file_that_is_taken_whole_ends_with_0(run):
    """The tape is created; the counts are said; the second time nothing is added."""
    assert run(EVENT) == (EXIT_DONE, "2 read, 2 added, 0 refused, 0 left out\n")
    assert run(EVENT) == (
        EXIT_DONE,
        "2 read, 0 added, 2 there already, 0 refused, 0 left out\n",
    )
    with Inspector.open(run.tape) as inspector:
        assert inspector.find(RETRIEVAL) == f"lassie.retrieval/{RETRIEVAL}"


def test_what_is_left_out_is_named_with_file_line_and_member(run):
    """Exit 1; what can be read is recorded all the same."""
    status, out = run(EVENT, EVENT | {"cid": "fish"}, "{", EVENT | {"eventName": "proposed"})
    [refused, broken, counts] = out.splitlines()

    assert status == EXIT_FINDING
    assert refused.startswith(f"{run.folder / 'events.json'}: line 2, events[0].cid: 'fish' is not")
    assert broken.startswith(f"{run.folder / 'events.json'}: line 3: ")
    assert counts == "3 read, 3 added, 0 refused, 2 left out"


def test_a_warning_is_no_finding(run):
    """An event of the next hour is told of and taken; one of the next century is not."""
    in_an_hour = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(time() + 3600))
    status, out = run(EVENT | {"eventTime": in_an_hour})

    assert status == EXIT_DONE
    assert ": line 1, events[0]: warning: " in out
    assert run(EVENT | {"eventTime": "2123-03-02T00:15:52Z"})[0] == EXIT_FINDING


def test_json_says_the_same_to_programs(run):
    """Counts, and notes with place, message and whether it is only a warning."""
    status, out = run(EVENT, EVENT | {"phase": "no"}, json=True)

    assert status == EXIT_FINDING
    assert json.loads(out) == {
        "read": 2,
        "added": 2,
        "duplicates": 0,
        "collected": 0,
        "refused": 0,
        "left_out": 1,
        "warnings": 0,
        "notes": [
            {
                "place": "line 2, events[0].phase",
                "message": "'no' is none of indexer, query, retrieval",
            }
        ],
        "aside": [],
    }


def test_many_findings_are_cut_short_for_people(run):
    """The first of them, and how many more there are."""
    status, out = run(*["x"] * (NOTES_SHOWN + 3))
    lines = out.splitlines()

    assert status == EXIT_FINDING
    assert len(lines) == NOTES_SHOWN + 2
    assert lines[-2] == "… and 3 more; --json tells them"
    assert lines[-1] == "0 read, 0 added, 0 refused, 23 left out"


def test_one_finding_too_many_is_counted_also_if_it_is_a_warning(run):
    """All that is not shown is, whatever it is."""
    soon = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(time() + 3600))
    status, out = run(*["x"] * NOTES_SHOWN, EVENT | {"eventTime": soon})
    _, exact = run(*["x"] * NOTES_SHOWN)

    assert status == EXIT_FINDING
    assert out.splitlines()[-2] == "… and 1 more; --json tells them"
    assert "more" not in exact


def test_an_unknown_format_lists_the_known_ones(run):
    """With what each is; nothing is created."""
    with pytest.raises(FormatUnknown) as error:
        run(EVENT, form="csv")

    assert "no format 'csv'" in error.value.message
    assert "events (entries as `export` writes them); " in error.value.hint
    assert "lassie (batches of Lassie's event recorder" in error.value.hint
    assert not run.tape.exists()


def test_the_tape_itself_is_not_imported(run):
    """Under any format; it stays as it was."""
    run(EVENT)
    before = run.tape.read_bytes()
    with pytest.raises(ForeignInvalid, match="the tape itself"):
        run.file(run.tape)

    assert run.tape.read_bytes() == before


@pytest.mark.parametrize("name", ["good", "aggregategood", "invalid-cid", "missing-events"])
def test_shared_samples(run, name):
    """Two are taken whole, two are left out."""
    file = SAMPLES / f"{name}.json"
    if not file.exists():
        pytest.skip("no shared samples on this machine")

    assert run.file(file)[0] == (EXIT_DONE if "good" in name else EXIT_FINDING)


def test_progress_is_shown_while_it_lasts(run, monkeypatch):
    """The command hands its bar to the import."""
    told = []
    monkeypatch.setattr(importing, "BATCH", 2)
    monkeypatch.setattr("statetape.cli.command_import.progress", lambda *_: Bar(told))
    run(*[EVENT | {"eventName": name} for name in ("started", "proposed", "accepted")])

    assert told[0] == 2
    assert told[-1] == 4


class Bar:
    """A progress bar that remembers what it was told."""

    def __init__(self, told):
        self.told = told

    def __enter__(self):
        return self.told.append

    def __exit__(self, *_):
        return None


def test_as_users_type_it(sh):
    """Exit codes and streams of the real command line; a second tape by an option."""
    (sh.folder / "events.jsonl").write_text(json.dumps({"events": [EVENT]}) + "\nx\n")
    ended = sh("import", "lassie", "events.jsonl", "--tape", "other.db")
    unknown = sh("import", "csv", "events.jsonl", "--json")

    assert (ended.status, ended.err) == (1, "")
    assert ended.out.startswith("events.jsonl: line 2: ")
    assert ended.out.endswith("2 read, 2 added, 0 refused, 1 left out\n")
    assert (sh.folder / "other.db").exists()
    assert not sh.tape.exists()
    assert (unknown.status, unknown.json["error"]["code"]) == (2, "format-unknown")
