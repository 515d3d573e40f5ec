# SPDX-License-Identifier: Apache-2.0
"""INT, TERM and HUP."""
import json
import signal

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_finishes_what_is_open_and_starts_nothing_new(held, migrate, store, keys, number):
    a, b = store("a", keys.many(20)), store("b")
    run = held("/b:create:key-00003:HOLD", "--from", a.path, "--to", b.path, "-j", "1")
    run.wait_call("begin create key-00003 0")
    run.send(number)
    run.wait_said("interrupted: finishing")
    result = run.release().finish().expect(128 + number)
    assert b.names() == [f"key-{i:05d}" for i in range(4)]
    assert "created                4  verified" in result.err and "not started           16" in result.err
    migrate("--from", a.path, "--to", b.path).expect(0)
    assert b.all() == a.all()


def test_the_second_signal_cancels_what_was_not_yet_sent(held, store, keys):
    a, b = store("a", keys.many(4)), store("b")
    run = held("/a:get:key-00001:HOLD", "--from", a.path, "--to", b.path, "-j", "1")
    run.wait_call("begin get key-00001 0")
    run.send(signal.SIGINT)
    run.wait_said("interrupted: finishing")
    run.send(signal.SIGINT)
    run.finish().expect(130)
    assert b.names() == ["key-00000"]


def test_a_started_replace_still_ends_after_the_second_signal(held, store, keys):
    a, b = store("a", {"k": keys.a()}), store("b", {"k": keys.a()})
    run = held("/b:*:*:gap,/b:create:k:HOLD", "--from", a.path, "--to", b.path, "-f", "-v")
    run.wait_call("begin create k 0")
    for said in ("interrupted: finishing", "interrupted again"):
        run.send(signal.SIGTERM)
        run.wait_said(said)
    run.release().finish().expect(143)
    assert b.value("k") == a.value("k")


class Rules:
    """Faults that change while the program runs."""

    def __init__(self, tmp, rules):
        self.file = tmp / "rules"
        self.set(rules)

    def set(self, rules):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(rules.replace(",", "\n"))
        fresh.rename(self.file)


@pytest.mark.parametrize("kind, before", [("created", []), ("replaced", ["-f"])])
def test_a_key_that_was_written_and_not_yet_read_back_at_the_second_signal_is_unverified_and_not_failed(
        held, store, keys, tmp, kind, before):
    a, b = store("a", {"k": keys.a()}), store("b", {"k": keys.a()} if before else {})
    gate = tmp / "gate"
    gate.touch()
    rules = Rules(tmp, f"/b:create:k:hold={gate},/b:replace:k:hold={gate}")
    run = held(f"@{rules.file}", "--from", a.path, "--to", b.path, f"--json={tmp / 'json'}", *before)
    run.wait_call(f"begin {'replace' if before else 'create'} k 0")
    rules.set(f"/b:get:k:hold={run.hold}")
    done = run.count("begin get k 0")
    gate.unlink()
    run.wait_call("begin get k 0", done + 1)
    for said in ("interrupted: finishing", "interrupted again"):
        run.send(signal.SIGINT)
        run.wait_said(said)
    result = run.finish().expect(130)
    assert b.value("k") == a.value("k")
    symbol = ">" if before else "+"
    assert f"  {symbol} k: {kind}, but unverified: the interrupt came before it was read back" in result.err
    assert f"{kind:12}           1  unverified" in result.err and "failed" not in result.err and result.out == ""
    key = next(o for o in map(json.loads, (tmp / "json").read_text().splitlines()) if o["type"] == "key")
    assert (key["outcome"], key["verified"], key["code"]) == (kind, False, "ECANCELED")


@pytest.mark.parametrize("backup", [[], ["--backup-to", "old"]])
def test_whoever_interrupts_a_key_that_stays_absent_hears_of_it_and_the_next_signal_ends_it(held, store, keys, backup):
    """With the default timeout, by which it would be tried for minutes."""
    a, b, old = store("a", {"k": keys.a(), "l": keys.a()}), store("b", {"k": keys.a()}), store("old")
    value = b.value("k")
    run = held("/b:*:*:gap,/b:create:k:fail=EHOSTUNREACH", "--from", a.path, "--to", b.path, "-f",
               *[old.path if part == "old" else part for part in backup])
    run.wait_call("end create k EHOSTUNREACH", 2)
    run.send(signal.SIGINT)
    run.wait_said("'k' was removed for a replace, and its new value cannot be stored now (fault: create 'k' was made to "
                  "fail).  Trying to store it until it works; one more interrupt gives up and leaves it absent")
    run.send(signal.SIGINT)
    result = run.finish().expect(8)
    assert "! k: LOST at the target" in result.out and "'k' is absent at the target" in result.err
    assert "k" not in b.names()
    assert ("The old value is in the backup" in result.err) == ("the backup has its old value" in result.err) == bool(backup)
    assert old.all() == ({"k": value} if backup else {})


def test_two_signals_at_once_still_put_the_old_value_back_where_that_works(held, store, keys, tmp):
    """Nobody was told yet that the key is absent: one more try."""
    a, b = store("a", {"k": keys.a()}), store("b", {"k": keys.a()})
    value = b.value("k")
    run = held("/b:*:*:gap,/b:create:k:HOLD,/b:create:k:fail=EHOSTUNREACH:x1", "--from", a.path, "--to", b.path, "-f")
    run.wait_call("begin create k 0")
    for said in ("interrupted: finishing", "interrupted again"):
        run.send(signal.SIGINT)
        run.wait_said(said)
    result = run.release().finish().expect(130)
    assert b.value("k") == value and "the old key was put back" in result.out


@pytest.mark.parametrize("rule, call", [("/a:list:*:HOLD", "begin list - 0"), ("/b:get:beta:HOLD", "begin get beta 0")])
def test_a_signal_during_the_plan_ends_at_once_and_nothing_was_written(held, sides, keys, rule, call):
    a, b = sides
    b.put("beta", keys.a())
    run = held(rule, "--from", a.path, "--to", b.path, "-f")
    run.wait_call(call)
    run.send(signal.SIGINT)
    run.finish().expect(130)
    assert b.names() == ["beta"]


def test_an_interrupted_run_is_told_in_json(held, objects, store, keys):
    a, b = store("a", keys.many(3)), store("b")
    run = held("/b:create:key-00001:HOLD", "--from", a.path, "--to", b.path, "-j", "1", "--json")
    run.wait_call("begin create key-00001 0")
    run.send(signal.SIGINT)
    run.wait_said("interrupted")
    parts = objects(run.release().finish().expect(130))
    assert parts[-1]["status"] == 130 and parts[-1]["signal"] == 2 and parts[-1]["pending"] == 1
    assert {o["name"]: o["outcome"] for o in parts if o["type"] == "key"} == {
        "key-00000": "created", "key-00001": "created", "key-00002": "pending"}


def test_signals_that_were_ignored_at_the_start_stay_ignored(held, store, keys):
    a, b = store("a", keys.many(3)), store("b")
    run = held("/b:create:key-00001:HOLD", "--from", a.path, "--to", b.path, "-j", "1",
               preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    run.wait_call("begin create key-00001 0")
    run.send(signal.SIGHUP)
    run.release().finish().expect(0)
    assert b.all() == a.all()
