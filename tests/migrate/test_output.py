# SPDX-License-Identifier: Apache-2.0
"""Lines, summary and JSON, literally."""
import os
import re
import subprocess


def calm(text):
    """What varies from run to run, masked at its width."""
    text = re.sub(r" +\d+(\.\d+)? s\b", " TIME", text)
    text = re.sub(r"  [\d,]+ keys?/s", "  RATE", text)
    return re.sub(r"/\S+/([ab])\b", r"\1", text)


def test_the_summary_of_a_whole_run(migrate, sides):
    a, b = sides
    result = migrate("--from", a.path, "--to", b.path)
    assert calm(result.err) == """\
fs a -> fs b: done

  selected               3
  created                3  verified
  source                 4  requests
  target                 7  requests
  elapsed TIME  RATE
"""


def test_the_summary_of_a_run_with_everything_that_can_go_wrong(faulty, sides, keys):
    a, b = sides
    b.put("alpha", keys.a())
    a.put("torn", keys.a()[:60])
    a.put("note", keys.foreign())
    a.put("not ok", keys.a())
    result = faulty("/b:create:gamma:fail=EHOSTUNREACH", "--from", a.path, "--to", b.path, "--merge").expect(5)
    text = re.sub(r"  (source|target) .*\n", "", calm(result.err))
    reason = re.search(r"! not ok: (.*)", text).group(1)
    torn = re.search(r"! torn: (.*)", text).group(1)
    assert text == f"""\
fs a -> fs b: not complete

  selected               6
  created                1  verified
  conflict               1
  foreign                1  no KES keys, skipped
  damaged                1
  unfit                  1  cannot exist at the target
  failed                 1
  elapsed TIME  RATE

  * alpha: the target holds another value
  ! gamma: fault: create 'gamma' was made to fail
  ! not ok: {reason}
  ! torn: {torn}

  The same command continues: what is there already counts as done.
"""


def test_no_verify_says_unverified(migrate, sides):
    a, b = sides
    result = migrate("--from", a.path, "--to", b.path, "--no-verify").expect(0)
    assert "created                3  unverified" in result.err


def test_v_prints_a_line_for_each_key_and_q_nothing_of_a_good_run(migrate, sides):
    a, b = sides
    assert sorted(migrate("--from", a.path, "--to", b.path, "-v").expect(0).lines) == ["+ alpha", "+ beta", "+ gamma"]
    assert migrate("--from", a.path, "--to", b.path, "-v").expect(0).lines == ["= alpha", "= beta", "= gamma"]
    result = migrate("--from", a.path, "--to", b.path, "-q").expect(0)
    assert result.out == result.err == ""


def test_q_still_tells_what_went_wrong(migrate, sides, keys):
    a, b = sides
    b.put("alpha", keys.a())
    result = migrate("--from", a.path, "--to", b.path, "-q").expect(6)
    assert "* alpha" in result.out and "nothing was written" in result.err


def test_failures_are_told_once_where_both_outputs_are_one_file(programs, sides, keys, tmp):
    a, b = sides
    b.put("alpha", keys.a())
    with open(tmp / "both", "w+") as both:
        programs.finish(programs.start([programs.kesfs_migrate, "--from", a.path, "--to", b.path, "--merge"], stdout=both,
                                       stderr=subprocess.STDOUT)).expect(6)
        both.seek(0)
        assert both.read().count("alpha") == 1


def test_json_is_one_object_a_line_plan_keys_summary(migrate, sides, keys, objects):
    a, b = sides
    b.put("alpha", keys.a())
    b.put("beta", a.value("beta"))
    result = migrate("--from", a.path, "--to", b.path, "--merge", "--json").expect(6)
    plan, *items, summary = objects(result)
    assert plan["type"] == "plan" and plan["mode"] == "merge" and plan["selected"] == 3
    assert (plan["create"], plan["replace"], plan["identical"], plan["conflicts"]) == (1, 0, 1, 1)
    assert plan["source"] == f"fs {a.path}" and plan["target"] == f"fs {b.path}" and plan["blocked"] is False
    assert items == [
        {"schema": 1, "type": "key", "name": "alpha", "outcome": "conflict", "code": "EEXIST",
         "reason": "the target holds another value"},
        {"schema": 1, "type": "key", "name": "beta", "outcome": "identical"},
        {"schema": 1, "type": "key", "name": "gamma", "outcome": "created", "verified": True}]
    assert summary["type"] == "summary" and summary["status"] == 6
    assert (summary["created"], summary["verified"], summary["unverified"]) == (1, 1, 0)
    assert summary["target_counts"]["requests"] > 0


def test_json_of_a_dry_run_and_of_a_blocked_run_names_what_is_pending(migrate, sides, keys, objects):
    a, b = sides
    b.put("alpha", keys.a())
    for words, blocked in ((["-n", "--force"], False), ([], True)):
        plan, *items, summary = objects(migrate("--from", a.path, "--to", b.path, "--json", *words))
        actions = {item["name"]: item.get("action") for item in items}
        assert actions == {"alpha": None if blocked else "replace", "beta": "create", "gamma": "create"}
        assert plan["blocked"] is blocked and summary["pending"] == sum(action is not None for action in actions.values())


def test_json_into_a_file_leaves_the_lines_on_stdout(migrate, sides, keys, tmp):
    a, b = sides
    b.put("alpha", keys.a())
    result = migrate("--from", a.path, "--to", b.path, f"--json={tmp}/log").expect(6)
    assert result.lines == ["* alpha: the target holds another value"]
    assert (tmp / "log").read_text().count("\n") == 5
    migrate("--from", a.path, "--to", b.path, f"--json={tmp}/no/log").expect(2)


def test_json_tells_what_ended_a_run_early(migrate, sides, objects, tmp):
    a, _ = sides
    summary = objects(migrate("--from", a.path, "--to", tmp / "nothing", "--json").expect(3))[-1]
    assert summary["status"] == 3 and "nothing" in summary["error"]


def test_json_of_a_name_that_is_no_utf8(migrate, sides, keys, objects):
    a, b = sides
    os.rename(a.path / "alpha", os.fsencode(a.path) + b"/al\xffpha\"\n")
    items = [o for o in objects(migrate("-n", "--from", a.path, "--to", b.path, "--json")) if o["type"] == "key"]
    assert any(o.get("name_hex") == b"al\xffpha\"\n".hex() for o in items) or all("\xff" not in o["name"] for o in items)


def test_a_reader_of_stdout_that_goes_away_does_not_stop_the_run(programs, store, keys):
    a, b = store("a", keys.many(2000)), store("b")
    read, write = os.pipe()
    os.close(read)
    process = programs.start([programs.kesfs_migrate, "--from", a.path, "--to", b.path, "-v"], stdout=write)
    os.close(write)
    programs.finish(process).expect(0)
    assert b.all() == a.all()


def test_a_full_disk_under_stdout_is_an_error_but_the_keys_arrive(programs, sides):
    a, b = sides
    with open("/dev/full", "w") as full:
        process = programs.start([programs.kesfs_migrate, "--from", a.path, "--to", b.path, "-v"], stdout=full)
        result = programs.finish(process).expect(1)
    assert b.all() == a.all() and "standard output could not be written" in result.err
