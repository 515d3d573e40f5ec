# SPDX-License-Identifier: Apache-2.0
"""A kesfs mount keeps the contract of a store, too: the same suite, run on a real mount."""
import signal

import pytest

from tests.support.waiting import wait_until


@pytest.mark.parametrize("suite", ["contract", "races"])
def test_a_mount_keeps_the_contract(suite, store, mount, programs):
    behind = store("behind")
    with mount(behind.config, "-o", "overwrite,delete,raw") as m:
        result = programs.run(programs.build / "tests/contract" / suite, env={"KESFS_CONTRACT_STORE": str(m.path)})
        result.expect(0)
    assert behind.names() == []


@pytest.fixture
def hung(store, keys, mount, programs, tmp):
    """A mount whose store does not answer a read of key-3, nor a create of new, until the gate is gone."""
    gate = tmp / "gate"
    gate.touch()
    behind = store("behind", keys.many(5, "key-{}"))
    rules = f"*:get:key-3:hold={gate},*:create:new:hold={gate}"
    with mount(behind.config, "-o", "timeout=600", command=[programs.build / "tests/fault/kesfs-fault"],
               env={"KESFS_FAULT": rules, "KESFS_FAULT_LOG": str(tmp / "log")}) as m:
        yield m, behind
        gate.unlink(missing_ok=True)


def test_a_mount_that_hangs_costs_one_key_and_its_deadline(hung, store, migrate):
    m, behind = hung
    target = store("target")
    result = migrate("--timeout", "1", "--from", m.path, "--to", target.path).expect(5)
    assert "key-3" in result.out
    assert sorted(target.all()) == sorted(set(behind.all()) - {"key-3"})


def test_a_second_signal_ends_a_read_that_hangs(hung, store, programs, wait_until, tmp):
    m, behind = hung
    target = store("target")
    process = programs.start([programs.kesfs_migrate, "--from", m.path, "--to", target.path])
    wait_until(lambda: "begin get key-3" in (tmp / "log").read_text() and len(target.names()) == 4, "a read that hangs")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert programs.finish(process).status >= 128
    assert "key-3" not in target.names()


def test_a_create_that_hangs_is_unknown_and_never_said_to_be_done(hung, store, keys, programs, wait_until):
    m, behind = hung
    source = store("one", {"new": keys.a()})
    process = programs.start([programs.kesfs_migrate, "--timeout", "1", "--from", source.path, "--to", m.path])
    result = programs.finish(process)
    assert result.status in (1, 5)
    assert "new" in result.out


def test_a_failure_that_has_passed_does_not_keep_a_mount_from_being_a_source(store, keys, mount, programs, migrate):
    behind, target = store("behind", keys.many(5, "key-{}")), store("target")
    with mount(behind.config, command=[programs.build / "tests/fault/kesfs-fault"],
               env={"KESFS_FAULT": "*:get:key-3:fail=EHOSTUNREACH:x1"}) as m:
        with pytest.raises(OSError):
            (m / "key-3").read_bytes()
        assert m.status()["reachable"] is False
        migrate("--from", m.path, "--to", target.path).expect(0)
    assert target.all() == behind.all()


def test_a_store_that_stays_away_is_told_with_its_reason(store, keys, mount, programs, migrate, tmp):
    behind, target = store("behind", keys.many(5, "key-{}")), store("target")
    rules = tmp / "rules"
    with mount(behind.config, command=[programs.build / "tests/fault/kesfs-fault"],
               env={"KESFS_FAULT": f"@{rules}"}) as m:
        (tmp / "rules.new").write_text("*:get:*:fail=EHOSTUNREACH,*:list:*:fail=EHOSTUNREACH")
        (tmp / "rules.new").rename(rules)
        with pytest.raises(OSError):
            (m / "key-3").read_bytes()
        result = migrate("--from", m.path, "--to", target.path)
        assert result.status not in (0, 6) and "does not answer" in result.err
    assert target.names() == []


def test_a_replace_overwrites_no_change_that_came_in_between(store, keys, mount, programs, tmp):
    """Whatever read of the mount it comes just before, once the helper has learnt the old value."""
    learnt, gate, log, rules = 2, tmp / "gate", tmp / "log", tmp / "rules"
    old, new, theirs = keys.a(), keys.a(), keys.a()
    behind, source = store("behind", {"k": old}), store("source", {"k": new})

    def reads():
        lines = log.read_text().splitlines()
        return sum(line.startswith("begin get k") for line in lines[:next(
            (i for i, line in enumerate(lines) if line.startswith("begin replace k")), None)])

    def start(m):
        return programs.start([programs.kesfs_migrate, "--force", "--yes", "--from", source.path, "--to", m.path])

    rules.write_text("")
    with mount(behind.config, "-o", "overwrite", command=[programs.build / "tests/fault/kesfs-fault"],
               env={"KESFS_FAULT": f"@{rules}", "KESFS_FAULT_LOG": str(log)}) as m:
        programs.finish(start(m)).expect(0)
        count = reads()
        assert behind.value("k") == new and count > learnt
        for number in range(learnt + 1, count + 1):
            behind.put("k", old)
            log.write_text("")
            gate.touch()
            # A comment of its own, so that the rules are read anew and count from here.
            (tmp / "rules.new").write_text(f"*:get:k:hold={gate}:n{number},never-{number}:get:*:hang")
            (tmp / "rules.new").rename(rules)
            process = start(m)
            wait_until(lambda: reads() == number, f"read {number}")
            behind.put("k", theirs)
            gate.unlink()
            result = programs.finish(process).expect({1, 5, 6})
            assert behind.value("k") == theirs, number
            assert "k" in result.out and "replaced" not in result.out
