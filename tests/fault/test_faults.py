# SPDX-License-Identifier: Apache-2.0
"""kesfs-migrate with a store that fails in every way that a store can: nothing is lost, nothing is said to be done
that is not, and what is lost for good is status 8."""
import os
import signal

import pytest

from tests.support.waiting import wait_until


class Faulty:
    """kesfs-migrate-fault with rules, and the log of what it asked the stores."""

    def __init__(self, programs, tmp):
        self.programs, self.tmp = programs, tmp
        self.program = programs.build / "tests/fault/kesfs-migrate-fault"
        self.log = tmp / "fault.log"

    def env(self, *rules):
        return {"KESFS_FAULT": ",".join(rules), "KESFS_FAULT_LOG": str(self.log)}

    def run(self, rules, *arguments):
        return self.programs.run(self.program, *arguments, env=self.env(*rules))

    def start(self, rules, *arguments):
        return self.programs.start([self.program, *arguments], env=self.env(*rules))

    def events(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_event(self, event):
        wait_until(lambda: any(line.startswith(event) for line in self.events()), f"'{event}' in the log of faults")


@pytest.fixture
def faulty(programs, tmp):
    return Faulty(programs, tmp)


@pytest.fixture
def sides(store, keys):
    """A source of ten keys and an empty target."""
    return store("source", keys.many(10, "key-{}")), store("target")


@pytest.fixture
def differing(store, keys):
    """The same ten names on both sides, all with other values."""
    return store("source", keys.many(10, "key-{}")), store("target", keys.many(10, "key-{}"))


def test_a_create_that_lies_is_found_by_reading_back(faulty, sides, migrate):
    source, target = sides
    result = faulty.run(["/target:create:key-3:lie", "/target:*:*:local"], "--from", source.path, "--to", target.path)
    result.expect({1, 5})
    assert "key-3" in result.out and "key-4" not in result.out
    assert sorted(target.all()) == sorted(set(source.all()) - {"key-3"})
    migrate("--from", source.path, "--to", target.path).expect(0)
    assert target.all() == source.all()


def test_a_create_that_lies_is_believed_only_without_verification(faulty, sides):
    source, target = sides
    result = faulty.run(["/target:create:key-3:lie"], "--no-verify", "--from", source.path, "--to",
                        target.path).expect(0)
    assert "unverified" in result.out + result.err


def test_a_value_that_reads_back_wrong_is_a_failure(faulty, sides):
    source, target = sides
    result = faulty.run(["/target:get:key-5:flip"], "--from", source.path, "--to", target.path)
    assert result.status not in (0, 6)
    assert "key-5" in result.out


@pytest.mark.parametrize("how", ["late=ETIMEDOUT", "late=EINPROGRESS", "late=EIO"])
def test_a_create_that_was_done_after_all_is_settled_by_the_next_run(faulty, sides, migrate, how):
    source, target = sides
    result = faulty.run([f"/target:create:key-2:{how}"], "--from", source.path, "--to", target.path)
    assert result.status in (1, 5) and "key-2" in result.out
    assert target.all() == source.all()
    again = migrate("--from", source.path, "--to", target.path).expect(0)
    assert "10" in again.out + again.err


def test_an_answer_that_is_lost_is_settled_by_the_next_run(faulty, sides, migrate):
    source, target = sides
    result = faulty.run(["/target:create:key-2:lose"], "--timeout", "1", "--from", source.path, "--to", target.path)
    assert result.status == 5 and "key-2" in result.out
    migrate("--from", source.path, "--to", target.path).expect(0)
    assert target.all() == source.all()


def test_a_read_that_hangs_ends_at_its_deadline_and_stops_no_other(faulty, sides):
    source, target = sides
    result = faulty.run(["/source:get:key-7:hang"], "--timeout", "1", "--from", source.path, "--to",
                        target.path).expect(5)
    assert "key-7" in result.out
    assert sorted(target.all()) == sorted(set(source.all()) - {"key-7"})


def test_a_store_that_fails_for_a_while_gets_the_rest_by_the_next_run(faulty, sides, migrate):
    source, target = sides
    faulty.run(["/target:create:*:fail=EHOSTUNREACH:x4"], "--from", source.path, "--to", target.path).expect(5)
    assert len(target.all()) == 6
    migrate("--from", source.path, "--to", target.path).expect(0)
    assert target.all() == source.all()


def test_a_target_that_refuses_every_write_is_status_7(faulty, sides):
    source, target = sides
    faulty.run(["/target:create:*:fail=EACCES"], "--from", source.path, "--to", target.path).expect(7)
    assert target.names() == []


def test_a_key_that_appears_after_the_plan_is_left_alone(faulty, sides, keys):
    source, target = sides
    gate = faulty.tmp / "gate"
    gate.touch()
    process = faulty.start([f"/target:create:key-4:hold={gate}"], "--from", source.path, "--to", target.path)
    faulty.wait_event("begin create key-4")
    theirs = keys.a()
    target.put("key-4", theirs)
    gate.unlink()
    result = faulty.programs.finish(process).expect(6)
    assert "key-4" in result.out
    assert target.value("key-4") == theirs
    assert {name: value for name, value in target.all().items() if name != "key-4"} == \
        {name: value for name, value in source.all().items() if name != "key-4"}


# --- stores that delete before they create ---------------------------------------------------------------------------

GAP = ["/target:*:*:gap", "/target:*:*:local"]


def test_a_store_with_a_gap_replaces_all(faulty, differing):
    source, target = differing
    faulty.run(GAP, "--force", "--from", source.path, "--to", target.path).expect(0)
    assert target.all() == source.all()
    assert sum(line.startswith("end remove") for line in faulty.events()) == 10


def test_the_old_key_is_put_back_where_the_new_one_is_refused(faulty, differing):
    source, target = differing
    before = target.value("key-6")
    result = faulty.run(GAP + ["/target:create:key-6:fail=EFBIG:x1"], "--force", "--from", source.path, "--to",
                        target.path)
    assert result.status in (1, 6) and "key-6" in result.out
    assert target.value("key-6") == before
    assert {**source.all(), "key-6": before} == target.all()


def test_a_passing_failure_in_the_gap_is_outlived(faulty, differing):
    source, target = differing
    faulty.run(GAP + ["/target:create:key-1:fail=EHOSTUNREACH:x3"], "--force", "--from", source.path, "--to",
               target.path).expect(0)
    assert target.all() == source.all()


def test_a_key_that_cannot_be_put_back_is_status_8_and_in_the_backup(faulty, differing, store):
    source, target = differing
    backup, old = store("backup"), target.all()
    process = faulty.start(GAP + ["/target:create:key-0:fail=EHOSTUNREACH"], "--force", "--timeout", "2",
                           "--backup-to", backup.path, "--from", source.path, "--to", target.path)
    # It tries until it is told to stop: the deadline of the replace, then once more at least.
    wait_until(lambda: "rying to put it back" in _stderr(faulty.programs, process), "the cry for help")
    process.send_signal(signal.SIGINT)
    result = faulty.programs.finish(process).expect(8)
    assert "key-0" in result.out
    assert "key-0" not in target.all()
    assert backup.value("key-0") == old["key-0"]


def test_what_comes_back_while_it_is_tried_is_put_back(faulty, differing):
    source, target = differing
    old, rules = target.value("key-0"), faulty.tmp / "rules"
    rules.write_text("\n".join(GAP + ["/target:create:key-0:fail=EHOSTUNREACH"]))
    process = faulty.programs.start([faulty.program, "--force", "--timeout", "2", "--from", source.path, "--to",
                                     target.path],
                                    env={"KESFS_FAULT": f"@{rules}", "KESFS_FAULT_LOG": str(faulty.log)})
    wait_until(lambda: "rying to put it back" in _stderr(faulty.programs, process), "the cry for help")
    better = faulty.tmp / "rules.new"
    better.write_text("\n".join(GAP))
    better.rename(rules)
    result = faulty.programs.finish(process)
    assert result.status not in (0, 8)
    assert target.value("key-0") in (old, source.value("key-0"))


def test_a_kill_in_the_gap_leaves_the_old_key_in_the_backup_and_the_next_run_finishes(faulty, differing, store,
                                                                                      migrate):
    source, target = differing
    backup, old, gate = store("backup"), target.all(), faulty.tmp / "gate"
    gate.touch()
    process = faulty.start(GAP + [f"/target:create:key-8:hold={gate}"], "--force", "--backup-to", backup.path,
                           "--from", source.path, "--to", target.path)
    faulty.wait_event("end remove key-8 0")        # a create of that name is the backup's, too
    os.kill(process.pid, signal.SIGKILL)
    faulty.programs.finish(process, check=False)
    assert "key-8" not in target.all()
    assert backup.value("key-8") == old["key-8"]
    migrate("--force", "--from", source.path, "--to", target.path).expect(0)
    assert target.all() == source.all()


def test_a_second_signal_does_not_end_a_started_replace(faulty, differing):
    source, target = differing
    gate = faulty.tmp / "gate"
    gate.touch()
    process = faulty.start(GAP + [f"/target:create:key-8:hold={gate}"], "--force", "--transfers", "1",
                           "--from", source.path, "--to", target.path)
    faulty.wait_event("begin create key-8")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "nterrupt" in _stderr(faulty.programs, process), "word of the first signal")
    process.send_signal(signal.SIGTERM)
    gate.unlink()
    result = faulty.programs.finish(process)
    assert result.status >= 128
    assert target.value("key-8") == source.value("key-8")


def test_a_replace_that_lies_is_found(faulty, differing):
    source, target = differing
    result = faulty.run(["/target:replace:key-3:lie", "/target:*:*:local"], "--force", "--from", source.path, "--to",
                        target.path)
    assert result.status not in (0, 6) and "key-3" in result.out


def _stderr(programs, process):
    file = next(err for started, _, err in programs.started if started is process)
    return os.pread(file.fileno(), 1 << 20, 0).decode("utf-8", "backslashreplace")
