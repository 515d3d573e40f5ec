# SPDX-License-Identifier: Apache-2.0
"""The ways that go wrong leave no key bytes either: failures, conflicts, refused writes, interrupted calls, lost answers,
dropped bytes.  Looked for in the memory of the idle daemon, its log with every debug area open, and its environment."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from tests.support import memory


@pytest.fixture
def looked():
    memory.may_look()


@pytest.fixture
def rules(tmp):
    """rules(text): from now on these are the faults of the store."""
    file = tmp / "rules"

    def write(text):
        fresh = tmp / "rules.new"
        fresh.write_text(text)
        fresh.rename(file)
    write("")
    write.environment = {"KESFS_FAULT": f"@{file}", "KESFS_FAULT_LOG": str(tmp / "calls")}
    write.calls = lambda: (tmp / "calls").read_text() if (tmp / "calls").exists() else ""
    return write


def tried(function, *arguments):
    with contextlib.suppress(OSError):
        function(*arguments)


def interrupted(programs, wait_until, rules, call, *argv):
    """Run a program until the store is under the call, then kill it."""
    before = rules.calls().count(f"begin {call}")
    process = programs.start(argv)
    wait_until(lambda: rules.calls().count(f"begin {call}") > before, f"the store to be under {call}")
    process.send_signal(signal.SIGKILL)
    programs.finish(process, check=False)


def test_what_fails_leaves_no_key_bytes(looked, mount, programs, store, keys, rules, tmp, wait_until):
    a, new = store("a", keys.many(8)), {f"new-{i}": keys.a() for i in range(20)}
    outside = store("outside", new)
    values = a.all() | new
    m = mount(a.config, "-d", "-o", "overwrite,delete,ttl=0,timeout=3", env=rules.environment,
              command=[programs.build / "tests/fault/kesfs-fault"])
    # refused by the store, in every way
    for number, code in enumerate(("EACCES", "EIO", "ENOSPC", "EAGAIN", "EPROTO", "EEXIST")):
        rules(f"*:get:*:fail={code},*:create:*:fail={code},*:replace:*:fail={code},*:remove:*:fail={code}")
        tried((m / "key-00000").read_bytes)
        tried((m / "key-00001").write_bytes, new["new-0"])
        tried((m / f"new-{number}").write_bytes, new[f"new-{number}"])
        tried((m / "key-00002").unlink)
    # an answer that is lost, and one that comes late
    rules("*:create:new-6:late=EINPROGRESS,*:create:new-7:lose,*:get:key-00003:flip")
    tried((m / "new-6").write_bytes, new["new-6"])
    tried((m / "new-7").write_bytes, new["new-7"])
    tried((m / "key-00003").read_bytes)
    rules("")
    # refused by us: no key, too large, a name; and a conflict with another host
    tried((m / "half").write_bytes, new["new-8"][:100])
    tried((m / "twice").write_bytes, new["new-8"] * 2)
    tried((m / "large").write_bytes, new["new-9"] * 6000)
    tried((m / "not.a.key").write_bytes, new["new-9"])
    with contextlib.suppress(OSError), open(m / "new-10", "xb") as file:
        file.write(new["new-10"])
        outside_now = a.path / "new-10"
        outside_now.write_bytes(new["new-11"])
    # interrupted while the store is under the call
    hold = tmp / "hold"
    hold.touch()
    rules(f"*:get:key-00004:hold={hold},*:create:new-12:hold={hold}")
    interrupted(programs, wait_until, rules, "get key-00004", "cat", m / "key-00004")
    interrupted(programs, wait_until, rules, "create new-12", "cp", outside.path / "new-12", m / "new-12")
    hold.unlink()
    rules("")
    # written and never closed, dropped
    (m / ".temporary").write_bytes(new["new-13"])
    (m / ".temporary").unlink()
    killed = programs.start(["sh", "-c", f"exec 3>'{m / 'new-14'}'; cat '{outside.path / 'new-14'}' >&3; kill -9 $$"])
    programs.finish(killed, check=False)
    # and what works
    programs.run("cp", outside.path / "new-15", m.path).expect(0)
    programs.run("cp", outside.path / "new-16", m / "key-00005").expect(0)
    programs.run("cat", m / "key-00006", stdout=subprocess.DEVNULL).expect(0)

    def nothing():
        found = memory.find(m.pid, values)
        assert not found, f"key bytes in memory: {found}"
        return True
    wait_until(nothing, "all values to be gone")
    log = m.log.encode("latin-1", "replace")
    environment = pathlib.Path(f"/proc/{m.pid}/environ").read_bytes()
    for value in values.values():
        assert not any(mark in log or mark in environment for mark in memory.marks(value))
    assert m.stop() == 0


def test_an_environment_variable_of_the_configuration_is_overwritten(looked, mount, store, keys, tmp):
    a = store("a", {"k": keys.a()})
    file = tmp / "by-variable.yml"
    file.write_text("keystore:\n  fs:\n    path: ${KESFS_TEST_PATH}\n")
    m = mount(file, env={"KESFS_TEST_PATH": str(a.path)})
    assert (m / "k").read_bytes() == a.value("k")
    block = pathlib.Path(f"/proc/{m.pid}/environ").read_bytes()
    assert not [entry for entry in block.split(b"\0") if entry.endswith(os.fsencode(a.path))]


def test_the_daemon_is_not_dumpable_and_leaves_no_core(looked, mount, store):
    m = mount(store().config)
    limits = pathlib.Path(f"/proc/{m.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M), limits
    # What is not dumpable belongs to root, whoever runs it, and nobody else may trace it.
    assert os.stat(f"/proc/{m.pid}/mem").st_uid == 0
    locked = next(line for line in pathlib.Path(f"/proc/{m.pid}/status").read_text().splitlines() if line.startswith("VmLck"))
    assert int(locked.split()[1]) >= 64


def test_another_process_of_the_same_user_may_not_look(looked, programs, store, keys, tmp, wait_until):
    """As an ordinary user: one mounts nothing, one waits in the helper; the other tries to read its memory."""
    helper, log, hold = programs.build / "tests/fault/kesfs-migrate-fault", tmp / "calls", tmp / "hold"
    hold.touch()
    log.touch()
    log.chmod(0o666)
    a, b = store("a", {"k": keys.a()}), store("b")
    tmp.parent.chmod(0o755)
    shutil.copy(helper, tmp / "helper")
    for path in (a.path, a.path / "k", b.path):
        os.chown(path, 65534, 65534)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    if programs.run("test", "-x", tmp / "helper", **nobody).status:
        pytest.skip("an ordinary user cannot run programs from here")
    running = programs.start([tmp / "helper", "--from", a.path, "--to", b.path], **nobody,
                             env={"KESFS_FAULT": f"*:create:*:hold={hold}", "KESFS_FAULT_LOG": str(log)})
    wait_until(lambda: "begin create" in log.read_text(), "the helper to hold a key")
    look = programs.run("/usr/bin/python3", "-c", "import sys; open(f'/proc/{sys.argv[1]}/mem', 'rb')", running.pid, **nobody)
    assert look.status == 1 and "PermissionError" in look.err
    assert "k" in memory.find(running.pid, a.all()), "root sees it: what is open is protected from other users only"
    hold.unlink()
    programs.finish(running).expect(0)


def test_the_tests_that_the_security_document_names_exist():
    top = pathlib.Path(__file__).resolve().parent.parent.parent
    named = re.findall(r"(tests/\S+\.py)::(test_\w+)", (top / "docs/security.md").read_text())
    assert len(named) >= 10
    for file, test in named:
        assert f"\ndef {test}(" in (top / file).read_text(), f"{file} has no {test}"
