# SPDX-License-Identifier: Apache-2.0
"""Stores that fail, hang, lose answers, or lie."""
import pytest

from tests.support.waiting import SLOWNESS

BRIEF = ["--timeout", str(2 * SLOWNESS)]      # also how long reading back is repeated


def test_a_failed_key_does_not_stop_the_others(faulty, store, keys):
    a, b = store("a", keys.many(50)), store("b")
    result = faulty("/a:get:key-00007:fail=EIO,/b:create:key-00011:fail=EPROTO", "--from", a.path, "--to", b.path).expect(1)
    assert set(a.names()) - set(b.names()) == {"key-00007", "key-00011"}
    assert len(result.lines) == 2
    faulty("", "--from", a.path, "--to", b.path).expect(0)
    assert b.all() == a.all()


@pytest.mark.parametrize("rule", ["/b:create:*:hang", "/a:get:*:hang"])
def test_no_new_key_is_started_once_a_side_has_not_answered_for_the_timeout(faulty, store, keys, rule):
    a, b = store("a", keys.many(2000)), store("b")
    result = faulty(rule, "--from", a.path, "--to", b.path, "-j", "4", "--timeout", "1").expect(5)
    word = "target" if "create" in rule else "source"
    assert f"kesfs-migrate: {word} fs {a.path if word == 'source' else b.path} does not answer any more: no new key" in result.err
    assert len([line for line in result.lines if line.startswith("! ")]) == 2000 and not b.names()
    assert f"! key-01999: not started: the {word} does not answer any more" in result.lines


def test_one_key_that_cannot_be_had_in_time_stops_no_run(faulty, store, keys):
    a, b = store("a", keys.many(20)), store("b")
    result = faulty("/b:create:key-00007:hang", "--from", a.path, "--to", b.path, "-j", "1", "--timeout", "1").expect(5)
    assert "not started" not in result.err and len(b.names()) == 19


def test_failures_that_may_pass_are_5_and_a_rerun_completes(faulty, migrate, sides):
    a, b = sides
    result = faulty("/b:create:beta:fail=EHOSTUNREACH", "--from", a.path, "--to", b.path).expect(5)
    assert result.lines[0].startswith("! beta: ") and "The same command continues" in result.err
    migrate("--from", a.path, "--to", b.path).expect(0)
    assert b.all() == a.all()


def test_throttling_slows_the_run_down_and_fails_nothing(faulty, sides):
    a, b = sides
    faulty("/b:create:*:fail=EAGAIN:x2,/a:get:*:fail=EAGAIN:x1", "--from", a.path, "--to", b.path).expect(0)
    assert b.all() == a.all()


def test_a_store_that_lies_about_a_create_is_caught(faulty, sides):
    a, b = sides
    result = faulty("/b:create:beta:lie", "--from", a.path, "--to", b.path, *BRIEF).expect(1)
    assert "! beta: the target accepted the key, but does not have it" in result.lines
    assert "created                2  verified" in result.err


def test_a_store_that_lies_about_a_replace_is_caught(faulty, sides, keys):
    a, b = sides
    b.put("beta", keys.a())
    result = faulty("/b:replace:beta:lie", "--from", a.path, "--to", b.path, "-f", *BRIEF).expect(1)
    assert "! beta: the target accepted the key, but holds the old value" in result.lines


def test_a_bit_that_flips_on_the_way_back_is_caught(faulty, sides):
    a, b = sides
    result = faulty("/b:get:beta:flip", "--from", a.path, "--to", b.path, *BRIEF).expect(1)
    assert "! beta: the target accepted the key, but holds another value" in result.lines


def test_without_verification_a_lie_is_not_caught_but_nothing_claims_to_be_verified(faulty, sides):
    a, b = sides
    result = faulty("/b:create:beta:lie", "--from", a.path, "--to", b.path, "--no-verify").expect(0)
    assert "created                3  unverified" in result.err


@pytest.mark.parametrize("code", ["ENOENT", "ESTALE"])
def test_reading_back_is_repeated_where_a_store_needs_a_moment(faulty, sides, code):
    a, b = sides
    faulty(f"/b:get:beta:fail={code}:x1", "--from", a.path, "--to", b.path).expect(0)
    assert b.all() == a.all()


def test_a_key_that_was_written_but_not_read_back_is_a_failure(faulty, sides):
    a, b = sides
    result = faulty("/b:get:beta:fail=EHOSTUNREACH", "--from", a.path, "--to", b.path).expect(5)
    assert any(line.startswith("! beta: written, but not read back") for line in result.lines)


def test_a_key_with_an_unknown_outcome_is_named(faulty, migrate, sides):
    a, b = sides
    result = faulty("/b:create:beta:late=EINPROGRESS", "--from", a.path, "--to", b.path).expect(5)
    assert result.lines[0].startswith("? beta: ") and "may or may not be at the target" in result.err
    migrate("--from", a.path, "--to", b.path).expect(0)


def test_a_hanging_key_ends_with_the_timeout_and_the_others_arrive(faulty, sides):
    a, b = sides
    result = faulty("/b:create:beta:hang", "--from", a.path, "--to", b.path, *BRIEF).expect(5)
    assert b.names() == ["alpha", "gamma"] and result.lines[0].startswith("! beta: ")


def test_a_key_that_appears_after_the_plan_is_left_alone_and_reported(held, sides, keys):
    a, b = sides
    run = held("/b:create:beta:HOLD", "--from", a.path, "--to", b.path, "-f")
    run.wait_call("begin create beta 0")
    theirs = keys.a()
    b.put("beta", theirs)
    result = run.release().finish().expect(6)
    assert b.value("beta") == theirs and "* beta: somebody stored another value" in result.out


def test_the_same_key_appearing_after_the_plan_is_identical(held, sides):
    a, b = sides
    run = held("/b:create:beta:HOLD", "--from", a.path, "--to", b.path)
    run.wait_call("begin create beta 0")
    b.put("beta", a.value("beta"))
    assert "identical              1" in run.release().finish().expect(0).err


def test_a_key_that_is_listed_but_gone_is_named_and_no_failure(faulty, sides):
    a, b = sides
    result = faulty("/a:get:beta:fail=ENOENT", "--from", a.path, "--to", b.path, "-v").expect(0)
    assert any(line.startswith(". beta: the source lists it, but it is deleted") for line in result.lines)
    assert "deleted                1" in result.err


def test_max_errors_starts_no_new_key(faulty, store, keys):
    a, b = store("a", keys.many(60)), store("b")
    result = faulty("/b:create:*:fail=EIO", "--from", a.path, "--to", b.path, "--max-errors", "3", "-j", "1").expect(5)
    assert len(result.lines) == 3 and "not started           57" in result.err


def test_a_target_that_refuses_every_write_is_7(faulty, store, keys):
    a, b = store("a", keys.many(300)), store("b")
    result = faulty("/b:create:*:fail=EACCES", "--from", a.path, "--to", b.path, "-j", "1").expect(7)
    assert "not started" in result.err and len(result.lines) < 100


def test_a_target_that_never_hands_out_a_key_is_written_unverified_and_said_so(faulty, sides):
    a, b = sides
    result = faulty("/b:*:*:blind", "--from", a.path, "--to", b.path).expect(0)
    assert "cannot be verified" in result.err and "created                3  unverified" in result.err
    result = faulty("/b:*:*:blind", "--from", a.path, "--to", b.path, "--merge").expect(6)
    assert "cannot be compared" in result.lines[0]


def test_a_source_that_never_hands_out_a_key_is_refused(faulty, sides):
    a, b = sides
    assert "never hands out a key" in faulty("/a:*:*:blind", "--from", a.path, "--to", b.path).expect(2).err


def test_a_hundred_keys_of_a_slow_store_are_under_way_at_once(held, store, keys):
    """Proven with -j, since a directory counts as local; the file holds every create until they all have begun."""
    a, b = store("a", keys.many(100)), store("b")
    run = held("/b:create:*:HOLD", "--from", a.path, "--to", b.path, "-j", "100")
    for i in range(100):
        run.wait_call(f"begin create key-{i:05d} 0")
    run.release().finish().expect(0)
    assert b.all() == a.all()
