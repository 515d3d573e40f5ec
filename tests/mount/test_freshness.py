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
