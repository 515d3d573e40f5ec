# SPDX-License-Identifier: Apache-2.0
"""Removing, renaming, temporary names: nothing gets round a refused overwrite, and no key is lost on the way."""
import contextlib
import ctypes
import errno
import os
import subprocess
import sys
import threading
import time

import pytest

AT_FDCWD, NOREPLACE, EXCHANGE = -100, 1, 2


def refused(code):
    return pytest.raises(OSError, match=rf"\[Errno {code}\]")


def renameat2(old, new, flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def test_removing_needs_delete(mount, store, keys):
    a = store("a", {"k": keys.a()})
    with mount(a.config, "-o", "overwrite") as m:
        with refused(errno.EPERM):
            os.unlink(m / "k")
        m.wait_log("remove k: EPERM: removing keys needs -o delete")
    assert a.names() == ["k"]


def test_with_delete_a_key_is_gone_at_once_and_may_come_again(mount, store, keys):
    a, value = store("a", {"k": keys.a()}), keys.a()
    with mount(a.config, "-o", "delete") as m:
        subprocess.run(["rm", m / "k"], check=True)
        assert a.names() == [] == os.listdir(m)
        m.wait_log("remove k: removed (uid")
        with refused(errno.ENOENT):
            os.unlink(m / "k")
        (m / "k").write_bytes(value)
    assert a.all() == {"k": value}


def test_a_removed_key_that_is_open_can_still_be_read(mount, store, keys):
    a = store("a", {"k": keys.a()})
    value = a.value("k")
    with mount(a.config, "-o", "delete") as m, open(m / "k", "rb") as file:
        subprocess.run(["rm", m / "k"], check=True)
        assert file.read() == value


@pytest.mark.parametrize("code,seen", [("EPERM", errno.EPERM), ("EHOSTUNREACH", errno.EIO), ("EACCES", errno.EACCES)])
def test_a_refused_removal_is_heard_and_the_name_stays(faulty, store, keys, code, seen):
    a = store("a", {"k": keys.a()})
    with faulty(a, f"*:remove:*:fail={code}", "-o", "delete") as m:
        with refused(seen):
            os.unlink(m / "k")
        m.wait_log(f"remove k: {code}")
        assert os.listdir(m) == ["k"] and (m / "k").read_bytes() == a.value("k")


REPLACEMENTS = {
    "install": ["install", "-m", "600", "{new}", "{key}"],
    "mv": ["mv", "-f", "{new}", "{key}"],
    "cp --remove-destination": ["cp", "--remove-destination", "{new}", "{key}"],
    "tar": ["tar", "-xf", "{tar}", "-C", "{mount}"],
}


def replacement(tool, tmp, m, value):
    """The command that replaces the key k by a file of this value."""
    folder = tmp / "new"
    folder.mkdir(exist_ok=True)
    (folder / "k").write_bytes(value)
    subprocess.run(["tar", "-C", folder, "-cf", tmp / "new.tar", "k"], check=True)
    return [part.format(new=folder / "k", key=m / "k", tar=tmp / "new.tar", mount=m.path) for part in REPLACEMENTS[tool]]


@pytest.mark.parametrize("tool", REPLACEMENTS)
def test_tools_that_remove_first_cannot_get_round_a_refused_overwrite(mount, store, keys, tmp, wait_until, tool):
    for options in ("rw", "delete"):
        a = store(options, {"k": keys.a()})
        before = a.all()
        with mount(a.config, "-o", options) as m:
            done = subprocess.run(replacement(tool, tmp, m, keys.a()), capture_output=True, check=False)
            assert done.returncode != 0
            wait_until(lambda: a.all() == before and (m / "k").read_bytes() == before["k"], "the old key")


@pytest.mark.parametrize("tool", REPLACEMENTS)
@pytest.mark.parametrize("bad", ["empty", "truncated"])
def test_a_bad_replacement_never_loses_the_key(mount, store, keys, tmp, wait_until, tool, bad):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with mount(a.config, "-o", "overwrite,delete") as m:
        done = subprocess.run(replacement(tool, tmp, m, keys.damaged()[bad]), capture_output=True, check=False)
        # tar does not look at the close of an empty file; the log does.
        assert done.returncode != 0 or (tool, bad) == ("tar", "empty")
        m.wait_log("restore k: the old value is back")
        wait_until(lambda: a.all() == before and (m / "k").read_bytes() == before["k"], "the old key")


@pytest.mark.parametrize("tool", REPLACEMENTS)
def test_a_good_replacement_with_both_options_replaces(mount, store, keys, tmp, tool):
    a, value = store("a", {"k": keys.a()}), keys.a()
    with mount(a.config, "-o", "overwrite,delete") as m:
        subprocess.run(replacement(tool, tmp, m, value), check=True)
        assert (m / "k").read_bytes() == value
    assert a.all() == {"k": value}


def rename_over(m, name, value):
    """As programs do that remove first, and write under a temporary name."""
    os.unlink(m / name)
    (m / ".new").write_bytes(value)
    os.rename(m / ".new", m / name)


@pytest.mark.parametrize("options,value,code", [("delete", "good", errno.EPERM), ("overwrite,delete", "bad", errno.EINVAL)])
def test_a_rename_in_place_of_a_key_that_was_removed_for_it_puts_the_key_back_if_it_is_refused(
        mount, store, keys, wait_until, options, value, code):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with mount(a.config, "-o", options) as m:
        with refused(code):
            rename_over(m, "k", keys.a() if value == "good" else keys.damaged()["truncated"])
        m.wait_log("restore k: the old value is back")
        wait_until(lambda: a.all() == before and (m / "k").read_bytes() == before["k"], "the old key")


def test_a_rename_in_place_of_a_key_that_was_removed_for_it_stores_the_new_one(mount, store, keys):
    a, value = store("a", {"k": keys.a()}), keys.a()
    with mount(a.config, "-o", "overwrite,delete") as m:
        rename_over(m, "k", value)
        assert a.all() == {"k": value} and (m / "k").read_bytes() == value


def test_a_failed_rename_in_place_of_a_key_that_was_removed_for_it_puts_the_key_back_before_it_is_heard(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with faulty(a, "*:create:k:fail=EHOSTUNREACH:x1", "-o", "overwrite,delete") as m:
        with refused(errno.EIO):
            rename_over(m, "k", keys.a())
        assert a.all() == before and (m / "k").read_bytes() == before["k"]


def test_every_key_that_a_process_removed_comes_back_however_many_they_were(mount, store, keys):
    a = store("a", keys.many(300))
    before = a.all()
    with mount(a.config, "-o", "overwrite,delete") as m:
        for name in before:
            os.unlink(m / name)
        for name in before:
            with refused(errno.EINVAL):
                (m / name).write_bytes(keys.damaged()["truncated"])
        assert a.all() == before


def test_a_program_of_several_threads_removes_in_one_and_writes_in_another(mount, store, keys):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with mount(a.config, "-o", "overwrite,delete") as m:
        remover = threading.Thread(target=os.unlink, args=[m / "k"])
        remover.start()
        remover.join()
        assert a.all() == {}
        with refused(errno.EINVAL):
            (m / "k").write_bytes(keys.damaged()["truncated"])
        assert a.all() == before


SMALL_MEMORY = ["prlimit", f"--memlock={128 * 1024}"]


def remove_until_refused(m, names):
    """How many went; the next one was refused, being EBUSY."""
    for count, name in enumerate(names):
        try:
            os.unlink(m / name)
        except OSError as e:
            assert e.errno == errno.EBUSY
            return count
    raise AssertionError(f"all {len(names)} were removed")


def test_a_removal_is_refused_where_the_memory_for_old_values_is_full_and_nothing_held_is_forgotten(
        mount, store, keys, programs):
    a = store("a", keys.many(600))
    before, names = a.all(), a.names()
    with mount(a.config, "-o", "overwrite,delete,timeout=1", command=[*SMALL_MEMORY, programs.kesfs]) as m:
        count = remove_until_refused(m, names)
        assert count > 32 and a.names() == names[count:]
        m.wait_log(f"remove {names[count]}: EBUSY: so much was removed just before")
        for name in names[:count]:
            with refused(errno.EINVAL):
                (m / name).write_bytes(keys.damaged()["truncated"])
        assert a.all() == before


def test_what_was_removed_by_a_process_that_is_over_takes_no_room(mount, store, keys, programs):
    a = store("a", keys.many(600))
    names = a.names()
    with mount(a.config, "-o", "overwrite,delete,timeout=1", command=[*SMALL_MEMORY, programs.kesfs]) as m:
        done = subprocess.run([sys.executable, "-c", "import os, sys\nfor path in sys.argv[1:]: os.unlink(path)",
                               *[m / name for name in names]], capture_output=True, text=True, check=False)
        assert "Device or resource busy" in done.stderr
        assert remove_until_refused(m, a.names()) > 32


def test_processes_that_the_mount_cannot_tell_apart_do_not_lose_each_others_keys(mount, store, keys, programs):
    """A mount in a process namespace of its own sees everybody outside as process 0."""
    apart = ["unshare", "--pid", "--fork"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make a process namespace")
    a = store("a", {"k": keys.a(), "l": keys.a()})
    before = a.all()
    # LeakSanitizer stops threads by numbers out of /proc, which are not its own there.
    env = {"ASAN_OPTIONS": programs.environment()["ASAN_OPTIONS"] + ":detect_leaks=0"}
    with mount(a.config, "-o", "overwrite,delete", command=[*apart, programs.kesfs], env=env) as m:
        for name in before:
            os.unlink(m / name)
        for name in before:
            with refused(errno.EINVAL):
                (m / name).write_bytes(keys.damaged()["truncated"])
        assert a.all() == before


def test_a_replacement_that_the_store_refuses_puts_the_key_back(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with faulty(a, "*:create:k:fail=EHOSTUNREACH:x1", "-o", "overwrite,delete") as m:
        os.unlink(m / "k")
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, keys.a())
        with refused(errno.EIO):
            os.close(fd)
        assert a.all() == before and (m / "k").read_bytes() == before["k"]


def test_a_key_that_cannot_be_put_back_is_tried_again_until_it_is(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with faulty(a, "*:create:k:fail=EHOSTUNREACH:x2", "-o", "overwrite,delete") as m:
        os.unlink(m / "k")
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, keys.a())
        with refused(errno.EIO):
            os.close(fd)
        assert m.status()["lost"] == 1
        wait_until(lambda: a.all() == before, "the old key")
        wait_until(lambda: "lost" not in m.status(), "nothing lost")


def test_a_replace_that_lost_the_key_is_undone_as_soon_as_the_store_allows(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with faulty(a, "*:*:*:gap\n*:create:k:fail=EACCES", "-o", "overwrite,timeout=1") as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_TRUNC)
        os.write(fd, keys.a())
        with refused(errno.EIO):
            os.close(fd)
        assert a.all() == {} and m.status()["lost"] == 1
        m.wait_log("the old key was removed, and neither the new nor the old one could be stored")
        m.faults.set("*:*:*:gap")
        wait_until(lambda: a.all() == before, "the old key")
        wait_until(lambda: "lost" not in m.status(), "nothing lost")
        assert (m / "k").read_bytes() == before["k"]


DELETE_IN_DOUBT = "*:*:*:gap\n*:remove:k:fail=ETIMEDOUT:x1"


def replace_in_doubt(m, value):
    fd = os.open(m / "k", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, value)
    with refused(errno.EIO):
        os.close(fd)
    m.wait_log("is still there, and may be removed yet")
    assert m.status()["in_doubt"] == 1


def test_a_delete_in_doubt_that_is_carried_out_later_does_not_lose_the_key(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    before = a.all()
    with faulty(a, DELETE_IN_DOUBT, "-o", "overwrite,delete") as m:
        replace_in_doubt(m, keys.a())
        fd = os.open(m / "k", os.O_WRONLY | os.O_TRUNC)
        os.write(fd, keys.a())
        with refused(errno.EBUSY):
            os.close(fd)
        with refused(errno.EBUSY):
            os.unlink(m / "k")
        assert a.all() == before
        a.remove("k")
        m.wait_log("restore k: the old value is back")
        assert a.all() == before and (m / "k").read_bytes() == before["k"]
        assert "in_doubt" not in m.status() and "lost" not in m.status()


def test_a_delete_in_doubt_is_looked_at_once_more_when_the_mount_ends(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    before = a.all()
    m = faulty(a, DELETE_IN_DOUBT, "-o", "overwrite")
    replace_in_doubt(m, keys.a())
    assert m.stop() == 0 and a.all() == before
    assert "the mount ends, and the store may still delete key 'k'" in m.log
    m = faulty(a, DELETE_IN_DOUBT, "-o", "overwrite")
    replace_in_doubt(m, keys.a())
    a.remove("k")
    assert m.stop() == 0 and a.all() == before


def test_somebody_elses_value_ends_the_doubt_about_a_delete(faulty, store, keys, wait_until):
    a, theirs = store("a", {"k": keys.a()}), keys.a()
    with faulty(a, DELETE_IN_DOUBT, "-o", "overwrite") as m:
        replace_in_doubt(m, keys.a())
        a.put("k", theirs)
        m.wait_log("replace k: somebody stored another value meanwhile")
        assert a.all() == {"k": theirs} and "in_doubt" not in m.status()


def test_a_key_that_is_still_not_back_at_the_end_is_status_8(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    m = faulty(a, "*:create:k:fail=EHOSTUNREACH", "-o", "overwrite,delete")
    os.unlink(m / "k")
    fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
    os.write(fd, keys.a())
    with refused(errno.EIO):
        os.close(fd)
    assert m.stop() == 8
    assert "1 key could not be put back" in m.log


def test_a_lost_key_is_tried_once_more_when_the_mount_ends(faulty, store, keys):
    a = store("a", {"k": keys.a(), "l": keys.a()})
    before = a.all()
    m = faulty(a, "*:create:*:fail=EHOSTUNREACH", "-o", "overwrite,delete")
    for name in before:
        os.unlink(m / name)
        fd = os.open(m / name, os.O_WRONLY | os.O_CREAT)
        os.write(fd, keys.a())
        with refused(errno.EIO):
            os.close(fd)
    assert a.all() == {} and m.status()["lost"] == 2
    m.faults.set("")
    assert m.stop() == 0
    assert a.all() == before


@pytest.mark.parametrize("create_fails,status", [(False, 0), (True, 8)])
def test_a_key_removed_for_a_file_that_is_still_open_at_the_end_is_put_back(faulty, store, keys, create_fails, status):
    a = store("a", {"k": keys.a()})
    before = a.all()
    m = faulty(a, "*:create:k:fail=EHOSTUNREACH" if create_fails else "", "-o", "overwrite,delete")
    os.unlink(m / "k")
    fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
    try:
        os.write(fd, keys.a())
        assert a.all() == {}
        assert m.stop() == status
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)
    assert a.all() == ({} if create_fails else before)
    assert "drop k: EIO: the mount ends before the file was closed" in m.log
    assert ("1 key could not be put back" if create_fails else "restore k: the old value is back") in m.log


def test_a_temporary_file_becomes_a_key_by_rename(mount, store, keys):
    a, value = store("a", {"old": keys.a()}), keys.a()
    before = a.value("old")
    with mount(a.config) as m:
        (m / ".k.Ab12Cd").write_bytes(value)
        assert a.names() == ["old"] and (m / ".k.Ab12Cd").read_bytes() == value
        os.chmod(m / ".k.Ab12Cd", 0o400)
        os.utime(m / ".k.Ab12Cd", (1_000_000_000, 1_000_000_000))
        os.rename(m / ".k.Ab12Cd", m / "k")
        assert a.value("k") == value and (m / "k").read_bytes() == value
        assert os.stat(m / "k").st_mtime == 1_000_000_000
        assert not os.path.exists(m / ".k.Ab12Cd") and sorted(os.listdir(m)) == ["k", "old"]
        (m / ".x").write_bytes(value)
        with refused(errno.EPERM):
            os.rename(m / ".x", m / "old")
        with refused(errno.EEXIST):
            renameat2(m / ".x", m / "old", NOREPLACE)
        with refused(errno.EINVAL):
            renameat2(m / ".x", m / "old", EXCHANGE)
        with refused(errno.EINVAL):
            os.rename(m / ".x", m / "a.b")
        os.rename(m / ".x", m / ".y")
        renameat2(m / ".y", m / "new", NOREPLACE)
        assert a.value("new") == value and a.value("old") == before


def test_a_file_that_is_renamed_while_it_is_open_is_the_key_that_its_writer_goes_on_writing(mount, store, keys):
    a, first, second = store("a"), keys.a(), keys.a()
    with mount(a.config) as m:
        with open(m / ".t", "wb", buffering=0) as file:
            file.write(first)
            os.rename(m / ".t", m / "k")
            assert a.all() == {"k": first}
            file.truncate(0)
            os.pwrite(file.fileno(), second, 0)
        assert a.all() == {"k": second} and (m / "k").read_bytes() == second


@pytest.mark.parametrize("closed", ["before the store has answered", "after it has"])
def test_what_is_written_behind_an_interrupted_rename_is_stored_too(faulty, store, keys, tmp, wait_until, closed):
    a, hold, first, second = store("a"), tmp / "hold", keys.a(), keys.a()
    hold.touch()
    with faulty(a, f"*:create:k:hold={hold}") as m:
        with open(m / ".t", "wb", buffering=0) as file:
            file.write(first)
            # Until it is killed the kernel holds the file against everybody.
            renaming = subprocess.Popen([sys.executable, "-c", "import os, sys; os.rename(*sys.argv[1:])", m / ".t", m / "k"])
            wait_until(lambda: m.faults.calls("create") == ["k"], "the create")
            renaming.kill()
            renaming.wait()
            file.truncate(0)
            os.pwrite(file.fileno(), second, 0)
            if closed.startswith("after"):
                hold.unlink()
                m.wait_log("create k: stored")
        hold.unlink(missing_ok=True)
        wait_until(lambda: a.all() == {"k": second}, "the second value")
        assert (m / "k").read_bytes() == second


def test_a_key_is_there_after_its_rename_though_a_write_behind_that_failed(faulty, store, keys, tmp, wait_until):
    a, hold, value = store("a"), tmp / "hold", keys.a()
    hold.touch()
    with faulty(a, f"*:create:k:hold={hold}", "-o", "ttl=3600") as m:
        with refused(errno.EFBIG), open(m / ".t", "wb", buffering=0) as file:      # the close says so, too
            file.write(value)
            renaming = subprocess.Popen([sys.executable, "-c", "import os, sys; os.rename(*sys.argv[1:])", m / ".t", m / "k"])
            wait_until(lambda: m.faults.calls("create") == ["k"], "the create")
            renaming.kill()
            renaming.wait()
            with refused(errno.EFBIG):
                os.pwrite(file.fileno(), b"much too far", 1 << 30)
            hold.unlink()
            m.wait_log("create k: stored")
        wait_until(lambda: os.listdir(m) == ["k"], "the name")
        assert (m / "k").read_bytes() == value == a.value("k")
        assert m.status()["listing"]["names"] == 1


def test_a_temporary_file_that_is_becoming_a_key_is_not_replaced_by_another(faulty, store, keys, tmp, wait_until):
    a, hold, value, other = store("a"), tmp / "hold", keys.a(), keys.a()
    hold.touch()
    with faulty(a, f"*:create:k:hold={hold}", "-o", "ttl=3600") as m:
        (m / ".t").write_bytes(value)
        (m / ".u").write_bytes(other)
        renaming = subprocess.Popen([sys.executable, "-c", "import os, sys; os.rename(*sys.argv[1:])", m / ".t", m / "k"])
        wait_until(lambda: m.faults.calls("create") == ["k"], "the create")
        renaming.kill()
        renaming.wait()
        with refused(errno.EBUSY):
            os.rename(m / ".u", m / ".t")
        hold.unlink()
        m.wait_log("create k: stored")
        wait_until(lambda: "k" in os.listdir(m) and ".t" not in os.listdir(m), "the name")
        assert (m / "k").read_bytes() == value == a.value("k")
        assert (m / ".u").read_bytes() == other
        assert m.status()["listing"]["names"] == 1
        os.rename(m / ".u", m / ".t")
        os.rename(m / ".t", m / "j")
        assert a.all() == {"j": other, "k": value}


def test_a_rename_onto_a_key_replaces_with_overwrite_and_checks_the_value(mount, store, keys):
    a, value = store("a", {"k": keys.a()}), keys.a()
    before = a.value("k")
    with mount(a.config, "-o", "overwrite") as m:
        (m / ".t").write_bytes(keys.damaged()["truncated"])
        with refused(errno.EINVAL):
            os.rename(m / ".t", m / "k")
        (m / ".u").write_bytes(b"")
        with refused(errno.EINVAL):
            os.rename(m / ".u", m / "k")
        assert a.all() == {"k": before}
        (m / ".t").write_bytes(value)
        os.rename(m / ".t", m / "k")
        assert a.all() == {"k": value} and (m / "k").read_bytes() == value
        m.wait_log("replace k: stored")


def test_a_refused_rename_leaves_both_names_as_they_were(faulty, store, keys):
    a, value = store("a"), keys.a()
    with faulty(a, "*:create:*:fail=EACCES") as m:
        (m / ".t").write_bytes(value)
        with refused(errno.EACCES):
            os.rename(m / ".t", m / "k")
        assert (m / ".t").read_bytes() == value and not os.path.exists(m / "k")
        m.faults.set("")
        os.rename(m / ".t", m / "k")
    assert a.all() == {"k": value}


def test_a_key_does_not_change_its_name_so_that_mv_copies(mount, store, keys):
    a = store("a", {"k": keys.a()})
    value = a.value("k")
    with mount(a.config, "-o", "delete") as m:
        with refused(errno.EXDEV):
            os.rename(m / "k", m / "l")
        os.rename(m / "k", m / "k")
        subprocess.run(["mv", m / "k", m / "l"], check=True)
        assert a.all() == {"l": value}


def test_temporary_files_are_never_in_the_store_nor_listed_and_can_be_removed(mount, store, keys):
    a = store("a")
    with mount(a.config) as m:
        (m / ".t").write_bytes(keys.a())
        (m / ".t").write_bytes(b"anything")
        assert (m / ".t").read_bytes() == b"anything" and os.stat(m / ".t").st_size == 8
        assert os.listdir(m) == []
        os.unlink(m / ".t")
        assert not os.path.exists(m / ".t")
    assert a.names() == []


@pytest.mark.long
def test_a_temporary_file_is_wiped_a_minute_after_its_last_close(mount, store, keys, wait_until):
    a = store("a")
    with mount(a.config) as m:
        (m / ".t").write_bytes(keys.a())
        began = time.monotonic()
        wait_until(lambda: not os.path.exists(m / ".t"), "the end of the temporary file", patience=300)
        assert time.monotonic() - began > 30
        m.wait_log("wipe .t: a temporary file")


def test_the_directory_of_another_store_is_another_file_system(mount, store, keys):
    a, b = store("a", {"k": keys.a()}), store("b")
    value = a.value("k")
    with mount(a.config, b.config, "-o", "delete") as m:
        (m / "a/.t").write_bytes(keys.a())
        for name in ("k", ".t"):
            with refused(errno.EXDEV):
                os.rename(m / "a" / name, m / "b" / "k")
        subprocess.run(["mv", m / "a/k", m / "b/k"], check=True)
    assert (a.all(), b.all()) == ({}, {"k": value})


def test_an_unlinked_new_file_goes_without_a_trace(mount, store, keys):
    a = store("a")
    with mount(a.config) as m:
        fd = os.open(m / "k", os.O_WRONLY | os.O_CREAT)
        os.write(fd, keys.a())
        os.unlink(m / "k")
        os.close(fd)
        assert os.listdir(m) == []
    assert a.names() == []


def test_a_process_that_dies_while_it_writes_leaves_no_half_key(mount, store, keys, wait_until):
    a, value = store("a"), keys.a()
    with mount(a.config) as m:
        writer = subprocess.Popen([sys.executable, "-c", "import os, sys\n"
                                   f"fd = os.open({str(m / 'k')!r}, os.O_WRONLY | os.O_CREAT)\n"
                                   "os.write(fd, sys.stdin.buffer.read(100))\nprint('written', flush=True)\n"
                                   "sys.stdin.buffer.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        writer.stdin.write(value[:100])
        writer.stdin.flush()
        assert writer.stdout.readline() == b"written\n"
        writer.kill()
        writer.communicate()
        wait_until(lambda: not os.path.exists(m / "k"), "the name to go")
    assert a.names() == []
