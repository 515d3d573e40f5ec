# SPDX-License-Identifier: Apache-2.0
"""--force and --backup-to: nothing is lost, whatever the target does."""
import signal

import pytest

from tests.support.waiting import SLOWNESS

BRIEF = ["--timeout", str(2 * SLOWNESS)]      # a store tries five times as long to put a key back


@pytest.fixture
def differing(store, keys):
    """(a, b, old): three keys that differ, and what b held."""
    a, b = store("a", {f"k{i}": keys.a() for i in range(3)}), store("b", {f"k{i}": keys.a() for i in range(3)})
    return a, b, b.all()


def test_a_backup_gets_every_old_value_and_is_made_if_asked(migrate, differing, tmp):
    a, b, old = differing
    result = migrate("--from", a.path, "--to", b.path, "-f", "--backup-to", tmp / "old", "--create").expect(0)
    assert b.all() == a.all()
    assert {p.name: p.read_bytes() for p in (tmp / "old").iterdir()} == old
    assert "replaced               3  verified" in result.err


def test_only_what_is_replaced_is_backed_up(migrate, differing, store):
    a, b, old = differing
    backup = store("old")
    b.put("k1", a.value("k1"))
    migrate("--from", a.path, "--to", b.path, "-f", "--backup-to", backup.path).expect(0)
    assert backup.all() == {name: old[name] for name in ("k0", "k2")}


def test_a_backup_that_holds_another_value_of_a_name_keeps_it_and_the_key_is_not_replaced(migrate, differing, store, keys):
    a, b, old = differing
    kept = keys.a()
    backup = store("old", {"k1": kept, "k2": old["k2"]})
    planned = migrate("-n", "--from", a.path, "--to", b.path, "-f", "--backup-to", backup.path).expect(6)
    assert "would replace          2  after a backup" in planned.err and b.all() == old
    result = migrate("--from", a.path, "--to", b.path, "-f", "--backup-to", backup.path).expect(6)
    assert backup.all() == {"k0": old["k0"], "k1": kept, "k2": old["k2"]}
    assert b.all() == {"k0": a.value("k0"), "k1": old["k1"], "k2": a.value("k2")}
    said = "* k1: not replaced, since it could not be backed up: the backup already holds another value of that name"
    assert planned.lines[1].startswith(said) and result.lines[0].startswith(said)


@pytest.mark.parametrize("rule, status", [("/old:create:k1:fail=ENOSPC", 5), ("/old:create:k1:lie", 1),
                                          ("/old:get:k1:flip", 1), ("/old:create:k1:fail=EACCES", 1)])
def test_a_key_whose_backup_fails_is_not_replaced(faulty, differing, store, rule, status):
    a, b, old = differing
    backup = store("old")
    faulty(rule, "--from", a.path, "--to", b.path, "-f", "--backup-to", backup.path, *BRIEF).expect(status)
    assert b.value("k1") == old["k1"] and b.value("k0") == a.value("k0")


def test_a_backup_that_changes_with_the_target_is_noticed_and_the_old_value_comes_back(held, store, keys, tmp):
    """As if it were the target by another name: good until the replace, and not what it was given after it."""
    a, b, backup = store("a", {"k": keys.a()}), store("b", {"k": keys.a()}), store("old")
    old = b.value("k")
    rules = tmp / "rules"
    rules.write_text(f"/b:replace:k:hold={tmp}/hold:x1")
    run = held(f"@{rules}", "--from", a.path, "--to", b.path, "-f", "--backup-to", backup.path)
    run.wait_call("begin replace k 0")
    (tmp / "new").write_text("/old:get:k:flip")
    (tmp / "new").rename(rules)
    result = run.release().finish().expect(1)
    assert b.value("k") == old and "the old value was put back" in result.out


def test_force_on_a_store_that_must_delete_first_says_so_and_works(faulty, differing):
    a, b, _ = differing
    result = faulty("/b:*:*:gap", "--from", a.path, "--to", b.path, "-f").expect(0)
    assert b.all() == a.all() and "has to delete a key" in result.err and "--backup-to" in result.err


def test_a_replace_that_fails_in_the_gap_puts_the_old_key_back(faulty, differing):
    a, b, old = differing
    result = faulty("/b:*:*:gap,/b:create:k1:fail=EACCES:x1", "--from", a.path, "--to", b.path, "-f", *BRIEF).expect(1)
    assert b.all() == {**a.all(), "k1": old["k1"]}
    assert result.lines[0].startswith("! k1: ")


def test_a_key_that_cannot_be_put_back_is_named_at_once_and_ends_with_8_when_interrupted(held, differing):
    a, b, _ = differing
    run = held("/b:*:*:gap,/b:create:k1:fail=EACCES", "--from", a.path, "--to", b.path, "-f", "-j", "1", *BRIEF)
    run.wait_said("'k1' was removed for a replace")
    run.send(signal.SIGINT)
    result = run.finish().expect(8)
    assert "! k1: LOST at the target" in result.out and "LOST" in result.err
    assert "k1" not in b.names()


def test_a_key_that_can_be_put_back_later_is(programs, program, differing, tmp, wait_until):
    a, b, old = differing
    rules = tmp / "rules"
    rules.write_text("/b:*:*:gap,/b:create:k1:fail=EACCES")
    process = programs.start([program, "--from", a.path, "--to", b.path, "-f", "-j", "1", *BRIEF],
                             env={"KESFS_FAULT": f"@{rules}"})
    wait_until(lambda: "k1" not in b.names(), "the gap")
    (tmp / "new").write_text("/b:*:*:gap")
    (tmp / "new").rename(rules)
    result = programs.finish(process)
    assert b.value("k1") in (old["k1"], a.value("k1"))
    assert result.status in (0, 1), result


DELETE_IN_DOUBT = "/b:*:*:gap,/b:remove:k1:fail=ETIMEDOUT:x1"


def test_a_delete_in_doubt_that_is_carried_out_later_does_not_lose_the_key(held, differing):
    a, b, old = differing
    run = held(DELETE_IN_DOUBT, "--from", a.path, "--to", b.path, "-f")
    run.wait_said("it is still there, and may be removed yet.  Looking at it")
    b.remove("k1")
    result = run.finish().expect(5)
    assert b.all() == {**a.all(), "k1": old["k1"]} and "the key was put back" in result.out


@pytest.mark.parametrize("ends", ["after its time", "by an interrupt"])
def test_a_delete_that_stays_in_doubt_is_unknown_and_named(held, differing, ends):
    a, b, old = differing
    run = held(DELETE_IN_DOUBT, "--from", a.path, "--to", b.path, "-f", *(BRIEF if ends == "after its time" else []))
    run.wait_said("it is still there, and may be removed yet.  Looking at it")
    if ends != "after its time":
        run.send(signal.SIGINT)
    result = run.finish().expect({5, 130})
    assert b.all() == {**a.all(), "k1": old["k1"]} and result.out.startswith("? k1: ")


def test_after_a_lost_key_no_other_is_replaced(held, differing):
    a, b, old = differing
    run = held("/b:*:*:gap,/b:create:k0:fail=EACCES", "--from", a.path, "--to", b.path, "-f", "-j", "2", *BRIEF)
    run.wait_said("'k0' was removed for a replace")
    run.send(signal.SIGTERM)
    run.finish().expect(8)
    assert set(b.names()) == {"k1", "k2"} and all(b.value(name) in (old[name], a.value(name)) for name in b.names())


def test_somebody_elses_change_during_the_run_is_left_alone(held, differing, keys):
    a, b, _ = differing
    run = held("/b:replace:k1:HOLD", "--from", a.path, "--to", b.path, "-f")
    run.wait_call("begin replace k1 0")
    theirs = keys.a()
    b.put("k1", theirs)
    result = run.release().finish().expect(6)
    assert b.value("k1") == theirs and "* k1: somebody changed it meanwhile" in result.out


@pytest.fixture
def racing(held, store, keys):
    """(ours, theirs, b): two runs that replace k; theirs is stopped in the middle of it, ours then replaces k, and is
    stopped at its next key."""
    sources = [store("a", {"k": keys.a(), "l": keys.a()}), store("a2", {"k": keys.a()})]
    b = store("b", {"k": keys.a(), "l": keys.a()})

    def start(theirs_stops_at):
        theirs = held(f"/b:*:*:gap,/b:{theirs_stops_at}:k:HOLD", "--from", sources[1].path, "--to", b.path, "-f", "k")
        theirs.wait_call(f"begin {theirs_stops_at} k 0")
        if theirs_stops_at == "create":
            b.put("k", keys.a())        # so that there is something to replace
        ours = held("/b:*:*:gap,/b:create:l:HOLD", "--from", sources[0].path, "--to", b.path, "-f", "-j", "1")
        ours.wait_call("begin create l 0")
        assert b.value("k") == sources[0].value("k")
        return ours, theirs, b, [source.value("k") for source in sources]
    return start


def test_of_two_runs_that_replace_one_key_the_one_whose_value_went_does_not_call_it_verified(racing):
    ours, theirs, b, values = racing("remove")
    theirs.release().finish().expect(0)
    result = ours.release().finish().expect(6)
    assert b.value("k") == values[1]
    assert "* k: replaced and read back, but somebody changed it meanwhile" in result.out
    assert "replaced               1  verified" in result.err and "conflict               1" in result.err


def test_of_two_runs_that_replace_one_key_the_later_one_leaves_the_others_value_that_it_finds_in_its_gap(racing):
    ours, theirs, b, values = racing("create")
    result = theirs.release().finish().expect(6)
    assert "* k: somebody changed it meanwhile" in result.out
    ours.release().finish().expect(0)
    assert b.value("k") == values[0]


def test_a_replaced_key_that_is_gone_later_in_the_run_is_stored_again(racing):
    ours, theirs, b, values = racing("remove")
    theirs.kill()
    b.remove("k")
    result = ours.release().finish().expect(0)
    assert b.value("k") == values[0] and "then removed by somebody else" in result.err
    assert "replaced               2  verified" in result.err


def test_an_interrupted_run_leaves_out_the_last_look_and_says_what_it_knows(racing):
    ours, theirs, b, values = racing("remove")
    ours.send(signal.SIGINT)
    ours.wait_said("interrupted: finishing")
    assert "replaced               2  verified" in ours.release().finish().expect(130).err
    theirs.kill()


def test_force_with_raw_replaces_a_value_that_cannot_even_be_read(faulty, differing):
    a, b, old = differing
    rules = "/b:get:k1:fail=EBADMSG:x4"
    assert "* k1" in faulty(rules, "--from", a.path, "--to", b.path, "-f").expect(6).out
    assert b.value("k1") == old["k1"]
    faulty(rules, "--from", a.path, "--to", b.path, "-f", "--raw").expect(0)
    assert b.all() == a.all()


def test_a_value_that_cannot_be_read_for_a_moment_is_not_removed_unread(held, differing):
    """As of Vault, while somebody else replaces the key."""
    a, b, _ = differing
    rules = "/b:*:*:gap,/b:get:k1:fail=EBADMSG:x2"
    run = held(rules, "--from", a.path, "--to", b.path, "-f", "--raw", "k1")
    run.finish().expect(0)
    assert b.value("k1") == a.value("k1")
    calls = run.calls.read_text().splitlines()
    before = calls[:calls.index("begin remove k1 0")]
    assert before[-2:] == ["begin get k1 0", "end get k1 0"] and before.count("end get k1 0") >= 2


def test_a_key_that_somebody_removed_after_the_plan_is_told_and_the_next_run_creates_it(held, migrate, differing):
    a, b, _ = differing
    run = held("/b:*:*:gap,/b:create:k0:HOLD", "--from", a.path, "--to", b.path, "-f", "-j", "1")
    run.wait_call("begin create k0 0")
    b.remove("k1")
    result = run.release().finish().expect(6)
    assert "* k1: somebody removed it meanwhile: the next run creates it" in result.out
    migrate("--from", a.path, "--to", b.path, "-f").expect(0)
    assert b.all() == a.all()


def test_raw_that_removed_a_value_and_cannot_store_the_new_one_goes_on_until_it_can(faulty, differing):
    a, b, _ = differing
    rules = "/b:get:k1:fail=EBADMSG:x4,/b:create:k1:fail=EHOSTUNREACH:x2"
    result = faulty(rules, "--from", a.path, "--to", b.path, "-f", "--raw", "k1").expect(0)
    assert b.value("k1") == a.value("k1") and "'k1' was removed for a replace, and its new value cannot" in result.err
    assert "replaced               1  verified" in result.err


def test_raw_that_removed_a_value_and_is_stopped_before_it_could_store_the_new_one_says_lost(held, differing):
    a, b, _ = differing
    run = held("/b:get:k1:fail=EBADMSG:x4,/b:create:k1:fail=EHOSTUNREACH", "--from", a.path, "--to", b.path, "-f", "--raw", "k1")
    run.wait_said("'k1' was removed for a replace")
    run.send(signal.SIGINT)
    result = run.finish().expect(8)
    assert "! k1: LOST at the target: removed, and could not be stored anew" in result.out and "k1" not in b.names()


def test_raw_with_a_backup_does_not_replace_what_cannot_be_backed_up(faulty, differing, store):
    a, b, old = differing
    backup = store("old")
    faulty("/b:get:k1:fail=EBADMSG", "--from", a.path, "--to", b.path, "-f", "--raw", "--backup-to", backup.path).expect(1)
    assert b.value("k1") == old["k1"] and "k1" not in backup.names()
