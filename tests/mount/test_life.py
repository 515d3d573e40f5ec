# SPDX-License-Identifier: Apache-2.0
"""Beginning, end and company of a mount: signals, death, unmounting, several daemons, several stores."""
import errno
import os
import signal
import subprocess
import sys

import pytest


def refused(*codes):
    return pytest.raises(OSError, match=r"\[Errno (" + "|".join(str(code) for code in codes) + r")\]")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts_with_status_0(mount, store, keys, number):
    a = store("a", {"k": keys.a()})
    m = mount(a.config)
    assert m.stop(number) == 0
    assert not os.path.ismount(m.path)


def test_a_close_under_way_is_finished_and_what_was_not_closed_is_named(faulty, store, keys, wait_until, value_file):
    a, file = store("a"), value_file()
    hold = a.path.parent / "hold"
    hold.touch()
    m = faulty(a, f"*:create:*:hold={hold}")
    with open(m / "open-key", "wb", buffering=0) as unfinished:
        unfinished.write(keys.a()[:100])
        (m / ".temporary").write_bytes(keys.a())
        closing = subprocess.Popen(["cp", file, m / "closing"])
        wait_until(lambda: m.faults.calls("create"), "the commit under way")
        m.send(signal.SIGTERM)
        m.wait_log("SIGTERM")
        assert m.alive()
        hold.unlink()
        assert closing.wait(30) == 0
        m._wait_gone()
        assert m._finish() == 0
        with refused(errno.ENOTCONN, errno.ECONNABORTED):
            os.fsync(unfinished.fileno())
        with pytest.raises(OSError):
            unfinished.close()
    assert a.all() == {"closing": file.read_bytes()}
    for name in ("open-key", ".temporary"):
        assert any(f"drop {name}: " in line for line in m.log.splitlines())
    assert "drop closing" not in m.log


def test_a_store_that_hangs_does_not_hold_up_the_end(faulty, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    m = faulty(a, "*:get:*:hang", "-o", "timeout=600")
    reader = subprocess.Popen(["cat", m / "k"], stderr=subprocess.DEVNULL)
    wait_until(lambda: m.faults.calls("get"), "the call")
    assert m.stop() == 0
    assert reader.wait(30) != 0


def test_a_killed_daemon_leaves_errors_not_hangs_and_the_place_can_be_used_again(mount, store, keys):
    a = store("a", {"k": keys.a()})
    m = mount(a.config)
    with open(m / "k", "rb", buffering=0) as file:
        m.kill()
        with refused(errno.ENOTCONN):
            file.read()
    with refused(errno.ENOTCONN):
        os.listdir(m.path)
    with mount(a.config, at=m.path, daemon=True) as again:
        assert (again / "k").read_bytes() == a.value("k")


def test_a_lazy_unmount_lets_open_files_finish(mount, store, keys):
    a, value = store("a", {"k": keys.a()}), keys.a()
    m = mount(a.config)
    new, old = open(m / "new", "wb", buffering=0), open(m / "k", "rb", buffering=0)
    subprocess.run(["umount", "-l", m.path], check=True)
    new.write(value)
    new.close()
    assert old.read() == a.value("k")
    assert m.alive()
    old.close()
    m._wait_gone()
    assert m._finish() == 0
    assert a.value("new") == value


def test_an_unmount_while_a_file_is_open_is_busy(mount, store, keys):
    a = store("a", {"k": keys.a()})
    with mount(a.config) as m:
        with open(m / "k", "rb"):
            assert subprocess.run(["umount", m.path], stderr=subprocess.DEVNULL, check=False).returncode != 0
            assert m.alive()
        assert m.unmount() == 0


def test_two_daemons_on_one_store_see_each_others_keys_and_create_each_once(mount, store, keys, wait_until):
    a = store("a", {"k": keys.a()})
    values = [keys.a(), keys.a()]
    with mount(a.config, "-o", "delete,ttl=0") as one, mount(a.config, "-o", "delete,ttl=0") as two:
        (one / "first").write_bytes(values[0])
        assert (two / "first").read_bytes() == values[0]
        assert sorted(os.listdir(two)) == ["first", "k"]
        os.unlink(two / "k")
        wait_until(lambda: os.listdir(one) == ["first"] and not os.path.exists(one / "k"), "the other's removal")
        fds = [os.open(m / "race", os.O_WRONLY | os.O_CREAT) for m in (one, two)]
        for fd, value in zip(fds, values):
            os.write(fd, value)
        os.close(fds[0])
        with refused(errno.EEXIST):
            os.close(fds[1])
        assert a.value("race") == values[0]


def test_several_stores_are_one_directory_each(mount, store, keys):
    a, b = store("a", {"k": keys.a()}), store("b", {"l": keys.a()})
    with mount(f"left={a.config}", b.config, "-o", "ro=b") as m:
        assert sorted(os.listdir(m)) == ["b", "left"]
        assert (m / "left/k").read_bytes() == a.value("k") and (m / "b/l").read_bytes() == b.value("l")
        subprocess.run(["cp", m / "b/l", m / "left/l"], check=True)
        assert a.value("l") == b.value("l")
        with refused(errno.EROFS):
            (m / "b/new").write_bytes(keys.a())
        with refused(errno.EPERM):
            (m / "new").write_bytes(keys.a())
        assert os.stat(m / "b/l").st_mode & 0o777 == 0o400 and os.stat(m / "left/k").st_mode & 0o777 == 0o600


def test_another_user_cannot_look_without_allow_other_nor_write_with_it(mount, store, keys):
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    a = store("a", {"k": keys.a()})

    def look(m):
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", m / "k"],
                              capture_output=True, check=False)
    a.path.parent.parent.chmod(0o711)
    with mount(a.config) as m:
        assert look(m).returncode != 0
    with mount(a.config, "-o", "allow_other") as m:
        assert b"Permission denied" in look(m).stderr
    with mount(a.config, "-o", "allow_other,umask=022") as m:
        assert look(m).stdout == a.value("k")
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "touch", m / "n"],
                              capture_output=True, check=False)
        assert b"Permission denied" in done.stderr


def test_many_processes_at_once_on_one_mount_lose_nothing(mount, store, keys):
    """Creates, reads, listings and removals together: the sanitizer builds look here for what threads do to each
    other."""
    a = store("a", keys.many(40))
    script = """
import os, sys
m, values, me = sys.argv[1], sys.argv[2], sys.argv[3]
value = open(values, 'rb').read()
for i in range(15):
    name = f'{m}/w{me}-{i}'
    with open(name, 'xb') as out:
        out.write(value)
    assert open(name, 'rb').read() == value
    os.listdir(m)
    os.stat(f'{m}/key-{i:05d}')
    open(f'{m}/key-{i:05d}', 'rb').read()
    with open(f'{m}/.t{me}', 'wb') as out:
        out.write(value)
    os.rename(f'{m}/.t{me}', f'{m}/r{me}-{i}')
    open(f'{m}/.kesfs/status').read()
    if i % 3 == 0:
        os.unlink(name)
"""
    values = a.path.parent / "value"
    values.write_bytes(keys.a())
    with mount(a.config, "-o", "delete,ttl=0") as m:
        workers = [subprocess.Popen([sys.executable, "-c", script, m.path, values, str(i)]) for i in range(6)]
        assert [worker.wait(100) for worker in workers] == [0] * 6
        assert sorted(os.listdir(m)) == a.names()
        assert len(a.names()) == 40 + 6 * (15 + 10)
