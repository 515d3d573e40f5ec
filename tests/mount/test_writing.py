# SPDX-License-Identifier: Apache-2.0
"""Creating and replacing keys: whole or not at all, and whoever closes the file hears what became of it."""
import errno
import os
import subprocess
import sys

import pytest


def refused(code):
    return pytest.raises(OSError, match=rf"\[Errno {code}\]")


def put(path, value, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL):
    fd = os.open(path, flags, 0o600)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)


def test_a_key_is_in_the_store_once_the_close_returns(mount, store, keys):
    a, value = store("a"), keys.a()
    with mount(a.config) as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, value)
        assert a.names() == []
        os.close(fd)
        assert a.all() == {"k": value}
        assert os.listdir(m) == ["k"] and (m / "k").read_bytes() == value
        m.wait_log("create k: stored, 208 bytes (uid")


def test_fsync_stores_it_too(mount, store, keys):
    a, value = store("a"), keys.b()
    with mount(a.config) as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, value)
        os.fsync(fd)
        assert a.all() == {"k": value}
        os.close(fd)


def test_an_existing_key_is_not_replaced_without_overwrite(mount, store, keys):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with mount(a.config) as m:
        for flags in (os.O_WRONLY, os.O_WRONLY | os.O_TRUNC, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_APPEND):
            with refused(errno.EPERM):
                os.open(m / "k", flags)
        with refused(errno.EPERM):
            os.truncate(m / "k", 3)
        with refused(errno.EEXIST):
            os.open(m / "k", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        m.wait_log("open k: EPERM: the key exists, and replacing keys needs -o overwrite")
    assert a.all() == before


def test_with_overwrite_the_close_replaces(mount, store, keys):
    a, value = store("a", {"k": keys.a()}), keys.a()
    with mount(a.config, "-o", "overwrite") as m:
        put(m / "k", value, os.O_WRONLY | os.O_TRUNC)
        assert a.value("k") == value and (m / "k").read_bytes() == value
        m.wait_log("replace k: stored")


def test_what_is_open_for_writing_but_not_changed_stays(mount, store, keys):
    a = store("a", {"k": keys.a()})
    with mount(a.config, "-o", "overwrite") as m:
        inode = os.stat(a.path / "k").st_ino
        os.close(os.open(m / "k", os.O_RDWR))
        assert os.stat(a.path / "k").st_ino == inode


def test_the_same_value_again_is_no_write(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "", "-o", "overwrite") as m:
        put(m / "k", a.value("k"), os.O_WRONLY | os.O_TRUNC)
        assert m.faults.calls("replace") == []


@pytest.mark.parametrize("what", ["truncated", "no-hmac", "cipher-3", "31-bytes", "unpadded", "json-short", "wrapped"])
def test_what_no_kes_server_could_load_is_refused_at_close(mount, store, keys, what):
    a = store("a", {"old": keys.a()})
    before = a.all()
    with mount(a.config, "-o", "overwrite") as m:
        for name in ("new", "old"):
            fd = os.open(m / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(fd, keys.damaged()[what])
            with refused(errno.EINVAL):
                os.close(fd)
        assert not os.path.exists(m / "new") and os.listdir(m) == ["old"]
        assert (m / "old").read_bytes() == before["old"]
    assert a.all() == before


def test_raw_stores_what_is_no_key_but_never_nothing_over_a_key(mount, store, keys):
    a = store("a", {"old": keys.a()})
    before = a.value("old")
    with mount(a.config, "-o", "raw,overwrite") as m:
        put(m / "new", keys.foreign())
        fd = os.open(m / "old", os.O_WRONLY | os.O_TRUNC)
        with refused(errno.EINVAL):
            os.close(fd)
    assert a.all() == {"new": keys.foreign(), "old": before}


def test_more_than_the_store_takes_is_efbig(mount, store):
    a = store("a")
    with mount(a.config, "-o", "raw") as m:
        put(m / "full", b"x" * 1048576)
        fd = os.open(m / "more", os.O_WRONLY | os.O_CREAT)
        assert os.write(fd, b"x" * 1048577) < 1048577       # in parts; the last one did not fit
        with refused(errno.EFBIG):
            os.close(fd)
        m.wait_log("write more: EFBIG")
        with refused(errno.EFBIG):
            (m / "much").write_bytes(b"x" * 3_000_000)
        fd = os.open(m / "far", os.O_WRONLY | os.O_CREAT)
        with refused(errno.EFBIG):
            os.pwrite(fd, b"x", 1 << 40)
        with refused(errno.EFBIG):
            os.close(fd)
        with open(m / "cut", "wb") as file, refused(errno.EFBIG):
            os.write(file.fileno(), b"x")
            os.ftruncate(file.fileno(), 1 << 40)
        assert (m / "full").stat().st_size == 1048576
    assert a.names() == ["cut", "full"]


@pytest.mark.parametrize("name", ["a.b", "a b", "-a", "a-", "_", "x" * 81, "ümlaut", "a+b"])
def test_a_name_that_no_kes_server_takes_is_refused_at_open(mount, store, keys, name):
    a = store("a")
    with mount(a.config) as m:
        with pytest.raises(OSError) as failure:
            os.open(m / name, os.O_WRONLY | os.O_CREAT)
        assert failure.value.errno in (errno.EINVAL, errno.ENAMETOOLONG)
        m.wait_log("create ")
    assert a.names() == []


def test_a_file_closed_without_data_is_an_error_and_nothing_is_stored(mount, store, keys, tmp):
    a = store("a", {"old": keys.a()})
    before = a.all()
    with mount(a.config, "-o", "overwrite") as m:
        for name in ("new", "old"):
            done = subprocess.run(["cp", "/dev/null", m / name], capture_output=True, text=True, check=False)
            assert done.returncode == 1 and "Invalid argument" in done.stderr
            m.wait_log(f"{name}: EINVAL: the file was closed without data")
        done = subprocess.run(["dd", "if=/dev/null", f"of={m}/new", "status=none"], capture_output=True, check=False)
        assert done.returncode == 1
        assert os.listdir(m) == ["old"]
    assert a.all() == before


def test_a_shells_first_close_without_data_is_harmless(mount, store, keys, shell, value_file):
    a, file = store("a"), value_file()
    with mount(a.config) as m:
        done = shell('cat "$F" > "$M/k1"; { head -c 100 "$F"; tail -c +101 "$F"; } > "$M/k2" &&'
                     '{ printf %s "$(head -c 100 "$F")"; /bin/true; printf %s "$(tail -c +101 "$F")"; } > "$M/k3"',
                     M=m.path, F=file)
        assert done.stderr == ""
        assert a.all() == {name: file.read_bytes() for name in ("k1", "k2", "k3")}


def test_a_child_that_inherits_the_file_may_write_it_after_the_parent_closed(mount, store, keys, value_file, wait_until):
    a, file = store("a"), value_file()
    with mount(a.config) as m:
        with open(m / "k", "wb") as out:
            child = subprocess.Popen(["sh", "-c", "read x; cat"], stdin=subprocess.PIPE, stdout=out)
        child.communicate(b"\n" + file.read_bytes())
        assert child.returncode == 0
        wait_until(lambda: a.all() == {"k": file.read_bytes()}, "the key in the store")


def test_the_close_of_a_forked_child_is_not_the_commit(mount, store, keys):
    a, value = store("a"), keys.a()
    with mount(a.config) as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, value[:100])
        subprocess.run([sys.executable, "-c", f"import os; os.close({fd})"], pass_fds=[fd], check=True)
        assert a.names() == []
        os.write(fd, value[100:])
        os.close(fd)
    assert a.all() == {"k": value}


def test_appending_goes_to_the_true_end_whatever_the_kernel_believes(faulty, store, keys, shell):
    """With raw, since what is appended to a key is none; the size was never seen by the kernel."""
    a, value = store("a", {"k": keys.a()}), keys.a()
    before = a.value("k")
    with faulty(a, "*:stat:*:fail=EIO", "-o", "raw,overwrite") as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_APPEND)
        os.write(fd, value)
        os.close(fd)
        assert a.value("k") == before + value
        assert shell('printf x >> "$M/k"', M=m.path).returncode == 0
        assert a.value("k") == before + value + b"x"


def test_the_one_who_made_a_key_may_write_it_again_before_the_last_close(mount, store, keys):
    a, first, second = store("a"), keys.a(), keys.b()
    with mount(a.config) as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, first)
        os.fsync(fd)
        assert a.value("k") == first
        os.ftruncate(fd, 0)
        os.pwrite(fd, second, 0)
        os.close(fd)
        assert a.value("k") == second
        with refused(errno.EPERM):
            os.open(m / "k", os.O_WRONLY)


def test_a_key_that_is_being_written_is_busy_to_readers_and_not_listed(mount, store, keys):
    a, value = store("a"), keys.a()
    with mount(a.config) as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, value[:50])
        with refused(errno.EBUSY):
            (m / "k").read_bytes()
        assert os.listdir(m) == []
        os.write(fd, value[50:])
        os.close(fd)
        assert (m / "k").read_bytes() == value


def test_two_writers_of_one_new_file_share_its_bytes(mount, store, keys):
    a, value = store("a"), keys.a()
    with mount(a.config) as m:
        first = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        second = os.open(m / "k", os.O_WRONLY)
        os.write(first, value[:100])
        os.pwrite(second, value[100:], 100)
        os.close(second)
        os.close(first)
    assert a.all() == {"k": value}


def test_another_hosts_key_of_that_name_is_eexist_at_close(faulty, store, keys):
    a, theirs = store("a"), keys.a()
    with faulty(a, "", "-o", "ttl=3600") as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, keys.a())
        a.put("k", theirs)
        with refused(errno.EEXIST):
            os.close(fd)
        assert (m / "k").read_bytes() == theirs
        with refused(errno.EEXIST):
            os.open(m / "k", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    assert a.all() == {"k": theirs}


def test_a_replace_of_what_somebody_changed_meanwhile_is_estale(mount, store, keys):
    a, theirs = store("a", {"k": keys.a()}), keys.a()
    with mount(a.config, "-o", "overwrite") as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_TRUNC)
        os.write(fd, keys.a())
        a.put("k", theirs)
        with refused(errno.ESTALE):
            os.close(fd)
    assert a.all() == {"k": theirs}


@pytest.mark.parametrize("code,seen", [("EHOSTUNREACH", errno.EIO), ("EACCES", errno.EACCES), ("EAGAIN", errno.EBUSY),
                                       ("ENOSPC", errno.ENOSPC), ("EPERM", errno.EPERM), ("EBUSY", errno.EBUSY)])
def test_a_refused_create_is_heard_at_close_and_the_name_is_free_again(faulty, store, keys, code, seen):
    a, value = store("a"), keys.a()
    with faulty(a, f"*:create:*:fail={code}") as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, value)
        with refused(seen):
            os.close(fd)
        m.wait_log(f"create k: {code}")
        assert not os.path.exists(m / "k")
        m.faults.set("")
        put(m / "k", value)
    assert a.all() == {"k": value}


def test_after_a_refused_fsync_the_file_hears_it_until_its_last_close(faulty, store, keys):
    a = store("a")
    with faulty(a, "*:create:*:fail=EACCES") as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, keys.a())
        with refused(errno.EACCES):
            os.fsync(fd)
        with refused(errno.EACCES):
            os.write(fd, b"more")
        with refused(errno.EACCES):
            os.close(fd)
    assert a.names() == []


def test_modes_owners_and_times_are_kept_here_and_never_sent(mount, store, keys):
    a = store("a", {"k": keys.a()})
    before = os.stat(a.path / "k")
    with mount(a.config) as m:
        os.chmod(m / "k", 0o440)
        os.chown(m / "k", 12, 34)
        os.utime(m / "k", (1_000_000_000, 1_000_000_000))
        st = os.stat(m / "k")
        assert (st.st_mode & 0o7777, st.st_uid, st.st_gid, st.st_mtime) == (0o440, 12, 34, 1_000_000_000)
    after = os.stat(a.path / "k")
    assert (after.st_mode, after.st_uid, after.st_mtime) == (before.st_mode, before.st_uid, before.st_mtime)


def test_a_read_only_mount_refuses_every_change(mount, store, keys):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with mount(a.config, "-o", "ro") as m:
        for change in (lambda: put(m / "n", keys.a()), lambda: os.unlink(m / "k"), lambda: os.rename(m / "k", m / "l"),
                       lambda: os.chmod(m / "k", 0o777), lambda: os.truncate(m / "k", 0)):
            with refused(errno.EROFS):
                change()
    assert a.all() == before


def test_links_and_folders_are_refused(mount, store, keys):
    a = store("a", {"k": keys.a()})
    with mount(a.config) as m:
        for change in (lambda: os.mkdir(m / "d"), lambda: os.symlink("k", m / "s"), lambda: os.link(m / "k", m / "h"),
                       lambda: os.mkfifo(m / "f")):
            with refused(errno.EPERM):
                change()
        with refused(errno.EOPNOTSUPP):
            os.setxattr(m / "k", "user.x", b"y")
