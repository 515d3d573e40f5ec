# SPDX-License-Identifier: Apache-2.0
"""Own changes show at once, others' within ttl; a listing that fails loses no name."""
import errno
import os
import signal
import subprocess
import time

import pytest


def refused(code):
    return pytest.raises(OSError, match=rf"\[Errno {code}\]")


def test_what_others_add_and_remove_shows_within_ttl(faulty, store, keys, wait_until):
    a = store("a", {"old": keys.a(), "stays": keys.a()})
    with faulty(a, "", "-o", "ttl=0.2") as m:
        assert os.path.exists(m / "old")
        a.put("new", keys.a())
        os.unlink(a.path / "old")
        wait_until(lambda: sorted(os.listdir(m)) == ["new", "stays"], "the new names in the listing")
        wait_until(lambda: os.path.exists(m / "new") and not os.path.exists(m / "old"), "the new names by lookup")
        assert (m / "new").read_bytes() == a.value("new")


def test_a_name_that_others_removed_is_forgotten_by_the_kernel(faulty, store, keys, wait_until):
    """The kernel may keep a name for an hour here: only the mount's word makes it forget."""
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "ttl=3600") as m:
        assert os.path.exists(m / "k")
        os.unlink(a.path / "k")
        assert os.path.exists(m / "k")
        m.refresh()
        wait_until(lambda: not os.path.exists(m / "k"), "the kernel to forget")


def test_within_ttl_a_listing_is_not_taken_again(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "ttl=3600") as m:
        a.put("new", keys.a())
        for _ in range(5):
            assert os.listdir(m) == ["k"]
        assert len(m.faults.calls("list")) == 1


def test_own_changes_show_at_once_whatever_the_ttl(faulty, store, keys):
    a, value = store("a", {"k": keys.a()}), keys.a()
    with faulty(a, "", "-o", "ttl=3600,delete,overwrite") as m:
        (m / "new").write_bytes(value)
        assert sorted(os.listdir(m)) == ["k", "new"] and os.stat(m / "new").st_size == len(value)
        before = os.stat(m / "k").st_mtime
        (m / "k").write_bytes(value)
        assert (m / "k").read_bytes() == value and os.stat(m / "k").st_mtime >= before
        os.unlink(m / "k")
        assert os.listdir(m) == ["new"] and not os.path.exists(m / "k")


def by_create(m, d, a, value):
    (d / "new").write_bytes(value)


def by_rename(m, d, a, value):
    (d / ".new.part").write_bytes(value)
    os.rename(d / ".new.part", d / "new")


def by_unlink(m, d, a, value):
    os.unlink(d / "key-00700")


def by_another_host(m, d, a, value):
    a.put("new", value)
    os.unlink(a.path / "key-00700")


def by_refresh(m, d, a, value):
    by_another_host(m, d, a, value)
    (d / ".kesfs/refresh").read_bytes()


def by_sighup(m, d, a, value):
    by_another_host(m, d, a, value)
    m.send(signal.SIGHUP)


CHANGES = {"create": by_create, "rename": by_rename, "unlink": by_unlink, "refresh": by_refresh, "SIGHUP": by_sighup,
           "ttl": by_another_host}


@pytest.mark.parametrize("several", [False, True], ids=["one store", "several stores"])
@pytest.mark.parametrize("change", CHANGES)
def test_each_change_shows_in_the_next_ls_whoever_else_is_reading(faulty, store, keys, wait_until, change, several):
    """Readers before and after the change have read only a part of the names when it comes, and each reads on in what
    it opened: a cache of the directory that is shared by all could show one of them the names of the other."""
    a, b = store("a", keys.many(1500)), store("b", {"other": keys.a()})
    before = set(a.names())
    ttl = "0.3" if change == "ttl" else "3600"
    with faulty([a.config, b.config] if several else a, "", "-o", f"ttl={ttl},delete") as m:
        d = m / "a" if several else m.path
        assert set(os.listdir(d)) == before                     # what could be cached is cached
        old = os.scandir(d)
        seen = [next(old).name for _ in range(10)]
        CHANGES[change](m, d, a, keys.a())
        after = set(a.names())
        assert before != after
        wait_until(lambda: set(os.listdir(d)) == after, "the change to show")
        new = os.scandir(d)
        fresh = [next(new).name for _ in range(10)]
        assert set(os.listdir(d)) == after
        seen += [entry.name for entry in old]
        fresh += [entry.name for entry in new]
        assert sorted(seen) == sorted(before) and sorted(fresh) == sorted(after)
        assert set(os.listdir(d)) == after
        if several:
            assert os.listdir(m / "b") == ["other"]


def test_a_directory_that_is_read_again_from_its_beginning_shows_the_names_anew(faulty, store, keys):
    a = store("a", keys.many(1500))
    with faulty(a, "", "-o", "ttl=3600") as m:
        fd = os.open(m, os.O_RDONLY | os.O_DIRECTORY)
        try:
            assert sorted(os.listdir(fd)) == a.names()
            (m / "new").write_bytes(keys.a())
            assert sorted(os.listdir(fd)) == a.names()          # listdir of a descriptor rewinds
        finally:
            os.close(fd)


@pytest.mark.parametrize("how", ["refresh", "SIGHUP"])
def test_a_wish_for_a_new_listing_is_granted(faulty, store, keys, wait_until, how):
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "ttl=3600") as m:
        a.put("new", keys.a())
        if how == "refresh":
            assert (m / ".kesfs/refresh").read_text() == "2 names\n"
        else:
            m.send(signal.SIGHUP)
        wait_until(lambda: sorted(os.listdir(m)) == ["k", "new"], "the new name")


def test_a_mount_in_use_lists_in_the_background_and_an_idle_one_does_not(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "ttl=0.1") as m:
        os.path.exists(m / "k")
        wait_until(lambda: len(m.faults.calls("list")) >= 2, "a listing that nobody asked for")
        # The status is no use of the names: after the last one there is no more.
        wait_until(lambda: m.status()["listing"]["age"] > 2, "idleness")


def test_a_failed_listing_keeps_the_names_and_says_so(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "ttl=0") as m:
        m.faults.set("*:list:*:fail=EHOSTUNREACH")
        wait_until(lambda: os.listdir(m) == ["k"] and m.status()["stale"], "a stale listing")
        assert (m / "k").read_bytes() == a.value("k")
        assert m.status()["listing"]["reason"]
        m.wait_log("EHOSTUNREACH")
        with refused(errno.EIO):
            os.stat(m / "unknown")                  # a failure is never "no such file"
        with refused(errno.EIO):
            (m / ".kesfs/refresh").read_bytes()
        m.faults.set("")
        wait_until(lambda: os.listdir(m) == ["k"] and not m.status()["stale"], "a fresh listing")
        with refused(errno.ENOENT):
            os.stat(m / "unknown")


def test_where_listing_is_refused_keys_still_open_by_name(faulty, store, keys):
    a, value = store("a", {"k": keys.a()}), keys.a()
    with faulty(a, "*:list:*:fail=EACCES", "-o", "delete") as m:
        with refused(errno.EACCES):
            os.listdir(m)
        assert (m / "k").read_bytes() == a.value("k")
        with refused(errno.ENOENT):
            (m / "missing").read_bytes()
        with open(m / "new", "xb") as out:
            out.write(value)
        assert a.value("new") == value
        with refused(errno.EEXIST):
            open(m / "k", "xb").close()
        os.unlink(m / "new")
        assert a.names() == ["k"]
        assert m.status()["listing"]["refused"]


REFUSED = "*:list:*:fail=EACCES"


@pytest.mark.parametrize("command", ["cp", "install -m 600", "rsync -a", "rsync --inplace"])
def test_where_listing_is_refused_an_answer_holds_for_ttl(faulty, store, keys, shell, value_file, command):
    """cp and its like look for the name first: then they create it while they have the directory to themselves, and must
    not wait for the store there."""
    a, file = store("a", {"k": keys.a()}), value_file()
    with faulty(a, REFUSED, "-o", "ttl=3600") as m:
        assert not os.path.exists(m / "new") and os.path.exists(m / "k")
        m.faults.set(REFUSED, "*:stat:*:hang")
        done = shell(f"{command} $F $M/new", F=file, M=m.path)
        assert (done.returncode, done.stderr) == (0, "") and a.value("new") == file.read_bytes()
        assert not m.faults.calls("stat")[2:]


def test_where_listing_is_refused_refresh_and_ttl_ask_again(faulty, store, keys, wait_until):
    a = store("a")
    with faulty(a, REFUSED, "-o", "ttl=3600") as m:
        assert not os.path.exists(m / "k")
        a.put("k", keys.a())
        assert not os.path.exists(m / "k")
        with refused(errno.EACCES):
            m.refresh()
        assert (m / "k").read_bytes() == a.value("k")
    with faulty(a, REFUSED, "-o", "ttl=0.2") as m:
        assert not os.path.exists(m / "l")
        a.put("l", keys.a())
        wait_until(lambda: os.path.exists(m / "l"), "the name to be asked for again")


def test_where_listing_is_refused_a_name_that_is_asked_for_keeps_no_other_waiting(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a(), "l": keys.a()})
    with faulty(a, f"{REFUSED}\n*:stat:slow:hang", "-o", "timeout=600") as m:
        looker = subprocess.Popen(["cat", m / "slow"], stderr=subprocess.DEVNULL)
        wait_until(lambda: "slow" in m.faults.calls("stat"), "a lookup that hangs")
        assert (m / "k").read_bytes() == a.value("k") and not os.path.exists(m / "missing")
        looker.send_signal(signal.SIGINT)
        assert looker.wait(30) == -signal.SIGINT
        (m / "new").write_bytes(keys.a())                       # nobody holds the directory any more
        assert a.names() == ["k", "l", "new"]


def test_the_size_is_true_again_after_others_changed_the_value(faulty, store, keys, shell):
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "ttl=3600") as m:
        (m / "k").read_bytes()
        assert os.stat(m / "k").st_size == 208
        a.put("k", keys.b())
        done = shell("tar -C $M -cf - k | tar -xOf -", M=m.path)
        assert done.stdout.encode() == a.value("k")


def test_a_key_changed_by_others_has_another_time(mount, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    os.utime(a.path / "k", (1_500_000_000, 1_500_000_000))
    with mount(a.config, "-o", "ttl=0") as m:
        os.utime(m / "k", (1_200_000_000, 1_200_000_000))
        assert os.stat(m / "k").st_mtime == 1_200_000_000
        a.put("k", keys.a())
        os.utime(a.path / "k", (1_600_000_000, 1_600_000_000))
        wait_until(lambda: os.stat(m / "k").st_mtime == 1_600_000_000, "the new time")


def test_another_process_of_a_directory_store_sees_it_as_ls_does(mount, store, keys):
    """No ttl is waited for where asking costs nothing."""
    a = store("a")
    with mount(a.config, "-o", "ttl=3600") as m:
        assert os.listdir(m) == []
        a.put("k", keys.a())
        assert (m / "k").read_bytes() == a.value("k")
        done = subprocess.run(["ls", m], capture_output=True, text=True, check=True)
        assert done.stdout == "k\n"


def test_a_listing_older_than_ttl_is_waited_for(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "ttl=0.05") as m:
        os.listdir(m)
        a.put("new", keys.a())
        end = time.monotonic() + 0.06
        while time.monotonic() < end:
            pass
        assert sorted(os.listdir(m)) == ["k", "new"]
