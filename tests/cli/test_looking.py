"""Looking at a tape that its anchor contradicts, or whose instances have odd names."""

from __future__ import annotations

import shutil

EXPLAIN = "explain 4711 --now 2050-01-01T00:00:00Z"  # whose ages would differ from run to run
LOOKS = ("list", "show 4711", "history 4711", EXPLAIN, "replay", "replay 4711", "export")


def copied(sh, name, more=()):
    """Copy the tape without its anchor."""
    copy = sh.folder / name
    for suffix in ("", *more):
        shutil.copy(f"{sh.tape}{suffix}", f"{copy}{suffix}")
    return copy


def test_an_old_copy_put_back_is_served_by_nobody(sh):
    """Refused by name, exit 1, nothing on standard output; before, all is served."""
    sh.order()
    old = copied(sh, "old.db")
    sh("send", "4711", "pay", "amount=1")
    for command in LOOKS:
        ended = sh(*command.split())
        assert (ended.status, ended.err) == (0, ""), command
    shutil.copy(old, sh.tape)

    refused_by_all(sh, "tape-rolled-back")


def refused_by_all(sh, code):
    """Every command that looks is refused, and prints nothing of the tape."""
    for command in LOOKS:
        ended = sh(*command.split())
        assert (ended.status, ended.out) == (1, ""), command
        assert f"[{code}]" in ended.err, command


def test_another_history_is_served_by_nobody(sh):
    """One tape's copy that went on otherwise, with as many entries and the same key: a fork."""
    sh.order()
    fork = copied(sh, "fork.db", (".anchor", ".key"))
    sh("send", "4711", "pay", "amount=1", "--tape", str(fork))
    sh("send", "4711", "pay", "amount=2")
    shutil.copy(fork, sh.tape)

    refused_by_all(sh, "tape-forked")


def test_another_tape_is_served_by_nobody(sh):
    """Swapped for one that has nothing to do with the anchor."""
    sh.order()
    other = str(sh.folder / "other.db")
    sh("new", "order.yaml", "4711", "price=2", "--tape", other)
    shutil.copy(other, sh.tape)

    refused_by_all(sh, "anchor-invalid")


def test_a_tape_whose_anchor_is_gone_can_be_looked_at(sh):
    """With a note on standard error; the anchor kept elsewhere is compared by `--anchor`."""
    sh.order()
    old = copied(sh, "old.db")
    kept = sh.folder / "kept.anchor"
    sh("send", "4711", "pay", "amount=1", "--json")
    (sh.folder / "tape.db.anchor").rename(kept)
    note = f"note: no anchor at {sh.tape}.anchor: a lost tail would not be noticed\n"
    for command in LOOKS:
        noted = sh(*command.split())
        compared = sh(*command.split(), "--anchor", str(kept))
        assert (noted.status, noted.err) == (0, note), command
        assert (compared.status, compared.err) == (0, ""), command
        assert compared.out == noted.out, command
    shutil.copy(old, sh.tape)
    for command in LOOKS:
        refused = sh(*command.split(), "--anchor", str(kept))
        assert (refused.status, "[tape-rolled-back]" in refused.err) == (1, True), command


def test_a_refused_export_leaves_its_file_alone(sh):
    """The backup of the newest tape outlives the old copy."""
    sh.order()
    old = copied(sh, "old.db")
    sh("send", "4711", "pay", "amount=1")
    sh("export", "all.jsonl")
    before = (sh.folder / "all.jsonl").read_bytes()
    shutil.copy(old, sh.tape)

    assert sh("export", "all.jsonl").status == 1
    assert (sh.folder / "all.jsonl").read_bytes() == before


def test_a_key_with_a_slash_is_found_by_send_as_by_show(sh):
    """By the key alone; a full name of nobody is still recorded as refused."""
    sh.order("a/b")
    sent = sh("send", "a/b", "pay", "amount=2")
    nobody = sh("send", "shop.order/c", "pay", "amount=2")

    assert (sent.status, sent.out) == (0, "shop.order/a/b  accepted: position 4, seq 2, paid\n")
    assert sh("show", "a/b", "--json").json["state"] == "paid"
    assert (nobody.status, "unknown_instance" in nobody.out) == (1, True)
    assert sh("history", "shop.order/c").status == 0
    assert len(sh("history", "a/b", "--json").json) == 2


def test_a_key_with_a_slash_that_two_instances_have_is_not_guessed(sh):
    """Nothing is recorded; both full names are in the hint."""
    sh.order("a/b")
    text = (sh.folder / "order.yaml").read_text()
    (sh.folder / "other.yaml").write_text(text.replace("shop.order", "shop.other"))
    sh("new", "other.yaml", "a/b", "price=1")
    ended = sh("send", "a/b", "pay", "amount=2")

    assert ended.status == 2
    assert "did you mean shop.order/a/b, shop.other/a/b?" in ended.err
    assert len(sh("export").out.splitlines()) == 5


def test_recover_says_what_the_tapes_own_entries_are(sh):
    """Its opening, a machine, a height; none of them was accepted or refused."""
    sh("head", "filecoin", "7")
    sh.order()
    (sh.folder / "tape.db.anchor").unlink()
    lines = sh("recover", "--new-anchor").out.splitlines()
    told = [line.split("Z  ")[1] for line in lines if line.startswith("  ")]

    assert told[0] == "opened"
    assert told[1].endswith("head filecoin")
    assert told[2] == "spec shop.order"
    assert "create  accepted" in told[3]
