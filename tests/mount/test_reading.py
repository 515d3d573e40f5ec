# SPDX-License-Identifier: Apache-2.0
"""Looking at keys: names, attributes, values; and that a look costs the store no more than it has to."""
import ctypes
import errno
import mmap
import os
import stat
import subprocess

import pytest


def refused(code):
    return pytest.raises(OSError, match=rf"\[Errno {code}\]")


def test_every_stored_name_is_listed_and_reads_as_it_was_stored(mount, store, keys):
    a = store("a", keys.many(50))
    with mount(a.config, "-o", "ro") as m:
        assert sorted(os.listdir(m)) == a.names()
        assert {name: (m / name).read_bytes() for name in os.listdir(m)} == a.all()


def test_what_is_no_key_is_left_out_and_counted(mount, store, keys):
    a = store("a", {"good": keys.a(), ".dot": keys.a(), "with\nnewline": keys.a()})
    (a.path / "folder").mkdir()
    with mount(a.config) as m:
        assert os.listdir(m) == ["good"]
        for name in ("folder", ".dot", "with\nnewline"):
            assert not os.path.lexists(m / name)
        left = m.status()["listing"]["left_out"]
        assert left["folder"] == 1 and sum(left.values()) == 3
        assert "left out" in m.log


def test_a_symbolic_link_is_a_name_that_cannot_be_read_not_a_key_that_is_missing(mount, store, keys, programs, tmp):
    a, b = store("a", {"good": keys.a()}), store("b")
    (a.path / "link").symlink_to("good")
    with mount(a.config, "-o", "overwrite,delete") as m:
        assert sorted(os.listdir(m)) == ["good", "link"]
        with refused(errno.EBADMSG):
            (m / "link").read_bytes()
        m.wait_log("it is a symbolic link, which is not followed; put the file itself there")
        for change in (lambda: (m / "link").write_bytes(keys.a()), lambda: os.unlink(m / "link")):
            with pytest.raises(OSError):
                change()
        assert (a.path / "link").is_symlink()
        result = programs.migrate("--from", m, "--to", b.path).expect(6)
        assert "! link: " in result.out
    assert b.names() == ["good"]


def test_include_and_exclude_choose_the_names(mount, store, keys):
    a = store("a", {name: keys.a() for name in ("app-1", "app-2", "other")})
    with mount(a.config, "-o", "include=app-*,exclude=*-2") as m:
        assert os.listdir(m) == ["app-1"]
        assert not os.path.exists(m / "other")
        with refused(errno.EINVAL):
            (m / "other-new").write_bytes(keys.a())


@pytest.mark.parametrize("option,mode", [("ro", 0o400), ("rw", 0o600)])
def test_a_key_is_a_regular_file_of_who_mounted(mount, store, keys, option, mode):
    a = store("a", {"k": keys.a()})
    with mount(a.config, "-o", option) as m:
        st = os.stat(m / "k")
        assert stat.S_ISREG(st.st_mode) and stat.S_IMODE(st.st_mode) == mode
        assert (st.st_uid, st.st_gid, st.st_nlink) == (os.getuid(), os.getgid(), 1)
        assert st.st_size == len(a.value("k"))
        assert st.st_mtime == int(os.stat(a.path / "k").st_mtime)


def test_umask_and_owner_are_the_options(mount, store, keys):
    a = store("a", {"k": keys.a()})
    with mount(a.config, "-o", "umask=027,uid=1234,gid=4321") as m:
        st = os.stat(m / "k")
        assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o640, 1234, 4321)
        assert stat.S_IMODE(os.stat(m).st_mode) == 0o750


def test_the_mount_is_nosuid_nodev_noexec_and_says_its_source(mount, store):
    a = store("a")
    with mount(a.config) as m:
        line = next(line for line in open("/proc/self/mounts", encoding="utf-8") if f" {m.path} " in line)
        assert " fuse.kesfs " in line and {"nosuid", "nodev", "noexec"} <= set(line.split()[3].split(","))


def test_reading_does_not_move_the_time(mount, store, keys):
    a = store("a", {"k": keys.a()})
    os.utime(a.path / "k", (1_500_000_000, 1_500_000_000))
    with mount(a.config) as m:
        (m / "k").read_bytes()
        assert os.stat(m / "k").st_mtime == 1_500_000_000


def test_of_a_store_that_does_not_tell_the_size_is_true_while_open_and_after(faulty, store, keys):
    a = store("a", {"k": keys.a(), "unread": keys.a()})
    with faulty(a, "*:stat:*:fail=EIO") as m:
        assert os.stat(m / "k").st_size == 0
        with open(m / "k", "rb") as file:
            assert os.fstat(file.fileno()).st_size == len(a.value("k"))
        assert os.stat(m / "k").st_size == len(a.value("k"))
        assert os.stat(m / "unread").st_size == 0


def test_size_exact_fetches_what_stat_needs(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "*:stat:*:fail=EIO", "-o", "size=exact") as m:
        assert os.stat(m / "k").st_size == len(a.value("k"))


def test_a_value_is_fetched_once_for_each_open(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "") as m:
        with open(m / "k", "rb", buffering=0) as file:
            pieces = [file.read(50) for _ in range(6)]
        assert b"".join(pieces) == a.value("k")
        assert m.faults.calls("get") == ["k"]


def test_missing_names_and_ls_cost_nothing_beyond_the_listing(faulty, store, keys):
    a = store("a", keys.many(20))
    with faulty(a, "", "-o", "ttl=3600") as m:
        for i in range(50):
            assert not os.path.exists(m / f"missing-{i}")
        subprocess.run(["ls", "-l", m], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ls", m], check=True, stdout=subprocess.DEVNULL)
        assert len(m.faults.calls("list")) == 1
        assert m.faults.calls("get") == [] and m.faults.calls("stat") == []


def test_a_listing_of_ten_thousand_names_is_complete_and_stable_while_names_go(mount, store, keys):
    value = keys.a()
    a = store("a", {f"key-{i:05d}": value for i in range(10_000)})
    with mount(a.config, "-o", "delete") as m:
        with os.scandir(m) as entries:
            seen = [next(entries).name]
            gone = [name for name in a.names()[:200] if name not in seen]
            for name in gone:
                os.unlink(m / name)
            seen += [entry.name for entry in entries]
        assert len(seen) == len(set(seen))
        assert set(a.names()) <= set(seen)
        assert len(os.listdir(m)) == 10_000 - len(gone)


def test_names_come_in_the_order_of_a_sorted_listing(mount, store, keys):
    """`ls` sorts what it gets, and takes much longer over names in no order."""
    names = [f"key-{i * 7919 % 3000:04d}" for i in range(3000)]
    a = store("a", {name: keys.a() for name in names})
    with mount(a.config) as m:
        assert os.listdir(m) == sorted(names)


def test_names_of_every_length_are_listed_once_however_they_fall_into_the_answers(mount, store, keys):
    value = keys.a()
    names = sorted(f"{i:04d}" + "x" * (i * 37 % 252) for i in range(1500))
    a = store("a", {name: value for name in names})
    with mount(a.config) as m:
        assert os.listdir(m) == names                           # READDIR, the first answer with attributes
        assert [entry.name for entry in os.scandir(m) if entry.stat().st_size == len(value)] == names


def test_an_inode_number_is_the_same_after_a_remount(mount, store, keys):
    a = store("a", {"k": keys.a(), "l": keys.a()})
    with mount(a.config) as m:
        first = {e.name: e.inode() for e in os.scandir(m)}
        assert first["k"] == os.stat(m / "k").st_ino != first["l"]
    with mount(a.config) as m:
        assert {e.name: e.inode() for e in os.scandir(m)} == first


def test_a_value_of_another_kind_of_bytes_is_read_as_it_is(mount, store, keys):
    a = store("a", {"foreign": keys.foreign(), "empty": b"", "big": os.urandom(300_000)})
    with mount(a.config) as m:
        assert {name: (m / name).read_bytes() for name in a.names()} == a.all()


def test_a_failure_is_never_no_such_file(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "") as m:
        for rule, code in [("EACCES", errno.EACCES), ("EHOSTUNREACH", errno.EIO), ("ENOKEY", errno.EIO),
                           ("EAGAIN", errno.EBUSY), ("ETIMEDOUT", errno.ETIMEDOUT), ("EBADMSG", errno.EBADMSG),
                           ("EPROTO", errno.EIO), ("EKEYREJECTED", errno.EACCES)]:
            m.faults.set(f"*:get:*:fail={rule}")
            with refused(code):
                (m / "k").read_bytes()
            m.wait_log(f"read k: {rule}")
        m.faults.set("")
        assert (m / "k").read_bytes() == a.value("k")


class Mapping:
    """A page of a file mapped, to see whether the kernel keeps it."""

    def __init__(self, file):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype = ctypes.c_void_p
        self.libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        self.at = self.libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, file.fileno(), 0)

    def resident(self):
        vector = (ctypes.c_ubyte * 1)()
        assert self.libc.mincore(ctypes.c_void_p(self.at), ctypes.c_size_t(4096), vector) == 0
        return bool(vector[0] & 1)

    def read(self, size):
        return ctypes.string_at(self.at, size)

    def end(self):
        self.libc.munmap(ctypes.c_void_p(self.at), ctypes.c_size_t(4096))


def test_nothing_of_a_key_stays_in_the_page_cache(mount, store, keys, wait_until, tmp):
    a = store("a", {"k": keys.a()})
    with mount(a.config) as m:
        with open(m / "k", "rb") as holder:             # keeps the inode, so that pages could stay
            mapping = Mapping(holder)
            try:
                assert mapping.read(208) == a.value("k")
                assert mapping.resident()
                subprocess.run(["cp", m / "k", tmp / "copy"], check=True)
                wait_until(lambda: not mapping.resident(), "an empty page cache")
            finally:
                mapping.end()
