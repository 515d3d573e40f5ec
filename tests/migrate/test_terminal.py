# SPDX-License-Identifier: Apache-2.0
"""On a terminal: the question of --force, and the live line."""
import re
import signal

import pytest


@pytest.fixture
def differing(store, keys):
    return (store("a", {f"k{i}": keys.a() for i in range(7)}), store("b", {f"k{i}": keys.a() for i in range(7)}))


def test_force_asks_once_and_shows_number_target_names_and_that_there_is_no_backup(terminal, differing):
    a, b = differing
    t = terminal("--from", a.path, "--to", b.path, "-f")
    t.wait("[y/N]")
    for said in ("7 keys", str(b.path), "k0", "and 2 more", "There is no backup"):
        assert said in t.text
    t.type("yes\n")
    assert t.finish() == 0 and b.all() == a.all()
    assert t.text.count("[y/N]") == 1


@pytest.mark.parametrize("answer", ["\n", "n\n", "no\n", "yup\n", "yess\n", "\x04"])
def test_anything_but_y_and_yes_is_no(terminal, differing, answer):
    a, b = differing
    old = b.all()
    t = terminal("--from", a.path, "--to", b.path, "-f")
    t.wait("[y/N]")
    t.type(answer)
    assert t.finish() == 6 and b.all() == old
    assert "nothing was written" in t.text and "held back              7  as you said" in t.text


def test_the_question_names_the_backup(terminal, differing, store):
    a, b = differing
    backup = store("old")
    t = terminal("--from", a.path, "--to", b.path, "-f", "--backup-to", backup.path)
    t.wait("[y/N]")
    assert f"first kept in fs {backup.path}" in t.text and "no backup" not in t.text
    t.type("Y\n")
    assert t.finish() == 0 and b.all() == a.all()


def test_an_interrupt_at_the_question_writes_nothing(terminal, differing):
    a, b = differing
    old = b.all()
    t = terminal("--from", a.path, "--to", b.path, "-f")
    t.wait("[y/N]")
    t.process.send_signal(signal.SIGINT)
    assert t.finish() == 130 and b.all() == old


@pytest.mark.parametrize("options", [["-y"], ["--yes"], ["-n"]])
def test_yes_and_a_dry_run_do_not_ask(terminal, differing, options):
    a, b = differing
    t = terminal("--from", a.path, "--to", b.path, "-f", *options)
    assert t.finish() == 0 and "[y/N]" not in t.text


def test_force_does_not_ask_where_nothing_differs(terminal, sides):
    a, b = sides
    t = terminal("--from", a.path, "--to", b.path, "-f")
    assert t.finish() == 0 and "[y/N]" not in t.text and b.all() == a.all()


def test_progress_is_one_live_line_that_is_gone_at_the_end(terminal, store, keys):
    a, b = store("a", keys.many(40)), store("b")
    t = terminal("--from", a.path, "--to", b.path, "-j", "1", rules="/b:create:*:delay=40")
    assert t.finish() == 0
    live = re.findall(r"\r\x1b\[K(copying [^\r\n]*)|(copying [^\r\n]*)\r\x1b\[K", t.text)
    assert live, t.text
    line = "".join(live[0])
    assert re.search(r"copying \d+/40  \d+%  \d+ keys?/s", line), line
    assert "\ncopying" not in t.text
    assert re.search(r"created +40 +verified", re.sub(r"copying[^\r]*\r\x1b\[K", "", t.text))


def test_without_a_terminal_p_prints_whole_lines(faulty, store, keys):
    a, b = store("a", keys.many(40)), store("b")
    result = faulty("/b:create:*:delay=60", "--from", a.path, "--to", b.path, "-j", "1", "-P").expect(0)
    assert re.search(r"^copying \d+/40  \d+%  \d+ keys?/s", result.err, re.M) and "\x1b" not in result.err


def test_progress_objects_in_json(faulty, objects, store, keys):
    a, b = store("a", keys.many(40)), store("b")
    result = faulty("/b:create:*:delay=60", "--from", a.path, "--to", b.path, "-j", "1", "-P", "--json").expect(0)
    progress = [o for o in objects(result) if o["type"] == "progress"]
    assert progress and progress[0]["phase"] == "copying" and progress[0]["total"] == 40
    assert [o["done"] for o in progress] == sorted(o["done"] for o in progress)
