# SPDX-License-Identifier: Apache-2.0
"""Stores that are slow or hang: whoever waits can leave, nobody else waits with him, and what was sent settles."""
import concurrent.futures
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest


def refused(code):
    return pytest.raises(OSError, match=rf"\[Errno {code}\]")


def opener(path):
    """A process that opens the file for reading and says so."""
    return subprocess.Popen([sys.executable, "-c", f"open({str(path)!r}, 'rb').read()"], stderr=subprocess.DEVNULL)


def sleeps(pid):
    """It waits, in a way that a signal can end."""
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def test_a_hundred_reads_of_one_directory_are_in_flight_at_once(faulty, store, keys):
    """Serial LOOKUPs, or too few threads, would leave most of them waiting in the kernel: then the file that holds the
    calls is never taken away, and the store sees fewer than a hundred."""
    a = store("a", keys.many(110))
    hold = a.path.parent / "hold"
    hold.touch()
    with faulty(a, f"*:get:*:hold={hold}") as m:
        assert m.status()["parallel"]
        with concurrent.futures.ThreadPoolExecutor(110) as pool:
            reads = {name: pool.submit((m / name).read_bytes) for name in a.names()}
            try:
                deadline = time.monotonic() + 60
                while m.status()["counters"]["in_flight"] < 100 and time.monotonic() < deadline:
                    time.sleep(0.02)
                assert m.status()["counters"]["in_flight"] >= 100
            finally:
                hold.unlink()
            assert {name: read.result() for name, read in reads.items()} == a.all()
        assert m.status()["counters"]["in_flight_max"] >= 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_reader_of_a_store_that_hangs_can_be_stopped_at_once(faulty, store, keys, wait_until, number):
    a = store("a", {"k": keys.a()})
    with faulty(a, "*:get:*:hang", "-o", "timeout=600") as m:
        reader = opener(m / "k")
        wait_until(lambda: m.faults.calls("get"), "the call")
        reader.send_signal(number)
        reader.wait(30)
        wait_until(lambda: m.faults.calls("get", "end"), "the end of the call")
        wait_until(lambda: m.status()["counters"]["in_flight"] == 0, "nothing left behind")


def test_hundreds_of_hung_readers_leave_at_once_and_leave_nothing_behind(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a(), "other": keys.a()})
    with faulty(a, "*:get:k:hang", "-o", "timeout=600,requests=20") as m:
        readers = [subprocess.Popen(["cat", m / "k"], stderr=subprocess.DEVNULL) for _ in range(200)]
        wait_until(lambda: m.status()["counters"]["in_flight"] == 20, "as many calls as there may be")
        assert subprocess.run(["timeout", "1", "cat", m / "k"], check=False).returncode == 124
        for reader in readers:
            reader.kill()
        for reader in readers:
            reader.wait(30)
        wait_until(lambda: m.status()["counters"]["in_flight"] == 0, "nothing left behind")
        assert (m / "other").read_bytes() == a.value("other")
        assert len(m.faults.calls("get")) <= 202


def test_a_store_that_hangs_does_not_keep_others_from_looking(faulty, store, keys, wait_until):
    a, b = store("a", {"k": keys.a(), "l": keys.a()}), store("b", {"n": keys.a()})
    with faulty([a.config, b.config], f"{a.path}:*:*:hang\n{b.path}:list:*:delay=0", "-o", "timeout=600", wait=False) as m:
        m.faults.set("")
        m.wait_ready()
        assert sorted(os.listdir(m / "a")) == ["k", "l"]
        m.faults.set(f"{a.path}:*:*:hang")
        (m / "a/.kesfs/status").read_bytes()
        reader = opener(m / "a/k")
        wait_until(lambda: m.faults.calls("get"), "a call that hangs")
        assert sorted(os.listdir(m / "a")) == ["k", "l"]
        assert os.path.exists(m / "a/l")
        assert (m / "b/n").read_bytes() == b.value("n")
        (m / "b/new").write_bytes(keys.a())
        reader.kill()
        reader.wait(30)


def test_a_listing_that_hangs_leaves_the_names_of_the_last_one(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "ttl=0,timeout=600") as m:
        m.faults.set("*:list:*:hang")
        assert os.listdir(m) == ["k"]
        assert (m / "k").read_bytes() == a.value("k")
        assert m.status()["stale"] or m.status()["listing"]["running"]
        assert os.listdir(m) == ["k"]


def test_a_call_ends_at_its_timeout(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "*:get:*:hang", "-o", "timeout=2") as m:
        with refused(errno.ETIMEDOUT):
            (m / "k").read_bytes()
        assert not m.status()["reachable"] and m.status()["reason"]
        m.faults.set("")
        assert (m / "k").read_bytes() == a.value("k")
        assert m.status()["reachable"]


def test_an_interrupted_commit_that_was_sent_settles(faulty, store, keys, wait_until, value_file):
    a, file = store("a"), value_file()
    hold = a.path.parent / "hold"
    hold.touch()
    with faulty(a, f"*:create:*:hold={hold}") as m:
        writer = subprocess.Popen(["cp", file, m / "k"], stderr=subprocess.DEVNULL)
        wait_until(lambda: m.faults.calls("create"), "the commit under way")
        writer.kill()
        writer.wait(30)
        assert a.names() == []
        hold.unlink()
        wait_until(lambda: a.all() == {"k": file.read_bytes()}, "the key")
        wait_until(lambda: os.listdir(m) == ["k"], "its name")
        assert (m / "k").read_bytes() == file.read_bytes()
        m.wait_log("create k: stored")


def test_an_interrupted_commit_that_still_waits_its_turn_is_not_sent(faulty, store, keys, wait_until, value_file):
    a, file = store("a"), value_file()
    hold = a.path.parent / "hold"
    hold.touch()
    with faulty(a, f"*:create:first:hold={hold}", "-o", "requests=1") as m:
        first = subprocess.Popen(["cp", file, m / "first"])
        wait_until(lambda: m.faults.calls("create"), "the first commit under way")
        second = subprocess.Popen([sys.executable, "-c", "import os, sys\n"
                                   f"fd = os.open({str(m / 'second')!r}, os.O_WRONLY | os.O_CREAT)\n"
                                   f"os.write(fd, open({str(file)!r}, 'rb').read())\n"
                                   "print('closing', flush=True)\nos.close(fd)"], stdout=subprocess.PIPE)
        assert second.stdout.readline() == b"closing\n"
        wait_until(lambda: sleeps(second.pid), "the second one to wait in its close")
        second.kill()
        second.communicate()
        hold.unlink()
        assert first.wait(30) == 0
        m.wait_log("create second: ECANCELED")
        assert os.listdir(m) == ["first"] == a.names()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_close_behind_a_commit_of_the_same_file_can_be_interrupted(faulty, store, keys, wait_until, value_file, number):
    a, file, other = store("a"), value_file(), value_file("other")
    hold = a.path.parent / "hold"
    hold.touch()

    def writer(source, flags):
        return subprocess.Popen([sys.executable, "-c", "import os, signal\n"
                                 "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
                                 f"fd = os.open({str(m / 'k')!r}, {flags})\n"
                                 f"os.write(fd, open({str(source)!r}, 'rb').read())\n"
                                 "print('closing', flush=True)\nos.close(fd)"], stdout=subprocess.PIPE)
    with faulty(a, f"*:create:k:hold={hold}", "-o", "timeout=600") as m:
        first = writer(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        wait_until(lambda: m.faults.calls("create"), "the first commit under way")
        second = writer(other, os.O_WRONLY)
        assert second.stdout.readline() == b"closing\n"
        wait_until(lambda: sleeps(second.pid), "the second one to wait in its close")
        second.send_signal(number)
        second.communicate(timeout=30)
        assert second.returncode == -number and first.poll() is None
        hold.unlink()
        first.communicate(timeout=30)
        assert first.returncode == 0
        m.wait_log("replace k: ECANCELED")
        assert a.all() == {"k": file.read_bytes()} and os.listdir(m) == ["k"]
        assert (m / "k").read_bytes() == file.read_bytes()
        assert m.status()["counters"]["in_flight"] == 0


# Python calls fsync again after a signal whose handler returns.
FSYNC = """
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *a: None)
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
os.write(fd, open(sys.argv[2], "rb").read())
print("waiting", flush=True)
os.fsync(fd)
os.close(fd)
"""


def test_an_fsync_that_a_signal_interrupts_can_be_called_again(faulty, store, keys, wait_until, value_file):
    a, file = store("a"), value_file()
    hold = a.path.parent / "hold"
    hold.touch()
    with faulty(a, f"*:create:first:hold={hold}", "-o", "requests=1") as m:
        first = subprocess.Popen(["cp", file, m / "first"])
        wait_until(lambda: m.faults.calls("create"), "the first commit under way")
        second = subprocess.Popen([sys.executable, "-c", FSYNC, m / "second", file], stdout=subprocess.PIPE)
        assert second.stdout.readline() == b"waiting\n"
        wait_until(lambda: sleeps(second.pid), "the second one to wait in its fsync")
        second.send_signal(signal.SIGUSR1)
        m.wait_log("create second: ECANCELED")
        hold.unlink()
        assert first.wait(30) == 0 and second.wait(30) == 0
        second.communicate()
    assert a.all() == {"first": file.read_bytes(), "second": file.read_bytes()}


def test_an_interrupted_removal_that_was_sent_settles_and_the_name_goes(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    hold = a.path.parent / "hold"
    hold.touch()
    with faulty(a, f"*:remove:*:hold={hold}", "-o", "delete,ttl=3600") as m:
        remover = subprocess.Popen(["rm", m / "k"], stderr=subprocess.DEVNULL)
        wait_until(lambda: m.faults.calls("remove"), "the removal under way")
        remover.kill()
        remover.wait(30)
        hold.unlink()
        wait_until(lambda: not os.path.exists(m / "k") and os.listdir(m) == [], "the name to go")
        assert a.names() == []


def test_a_stopped_daemon_goes_on_where_it_was(mount, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    with mount(a.config) as m:
        m.send(signal.SIGSTOP)
        got = []
        reader = threading.Thread(target=lambda: got.append((m / "k").read_bytes()))
        reader.start()
        m.send(signal.SIGCONT)
        reader.join(30)
        assert got == [a.value("k")]


def test_a_lost_answer_is_said_and_the_listing_shows_what_became_of_it(faulty, store, keys, wait_until):
    a, value = store("a"), keys.a()
    with faulty(a, "*:create:*:late=EINPROGRESS", "-o", "ttl=0") as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, value)
        with refused(errno.EIO):
            os.close(fd)
        m.wait_log("create k: EINPROGRESS")
        wait_until(lambda: os.listdir(m) == ["k"], "the name")
        assert (m / "k").read_bytes() == value
