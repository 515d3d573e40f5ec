# SPDX-License-Identifier: Apache-2.0
"""Key bytes are nowhere but in the stores once the work is done: not in the memory of idle processes, not in the page
cache, not on disk, not in the environment."""
import contextlib
import os
import pathlib
import shutil
import subprocess

import pytest

from tests.support import memory


def gone(pid, values):
    """Wait until none is in memory (threads wipe before they idle, engines close after some seconds)."""
    def nothing():
        found = memory.find(pid, values)
        assert not found, f"key bytes in memory: {found}"
        return True
    return nothing


@pytest.fixture
def looked():
    memory.may_look()


def test_an_open_value_is_found_and_a_closed_one_is_not(looked, mount, store, keys, wait_until):
    kept = store("kept", {"one": keys.a(), "two": keys.b()})
    with mount(kept.config) as m:
        with open(m / "one", "rb") as file:
            file.read(16)
            assert set(memory.find(m.pid, kept.all())) == {"one"}, "the search finds nothing, so it proves nothing"
        wait_until(gone(m.pid, kept.all()), "the value to be gone")


def test_a_mount_at_rest_holds_no_key_bytes(looked, mount, store, keys, programs, tmp, wait_until):
    kept = store("kept", keys.many(15))
    new = store("new", keys.many(15, "new-{:05d}"))
    values = {**kept.all(), **new.all(), "damaged": keys.a()}
    out = tmp / "out"
    out.mkdir()
    with mount(kept.config, "-o", "overwrite,delete") as m:
        names = kept.names()
        programs.run("cp", *[m / name for name in names], out).expect(0)
        programs.run("cat", *[m / name for name in names], stdout=subprocess.DEVNULL)
        programs.run("tar", "-cf", out / "all.tar", "-C", m, ".").expect(0)
        programs.run("cp", *[new.path / name for name in new.names()], m.path).expect(0)
        with contextlib.suppress(OSError):                       # refused: no KES server could load it
            (m / "damaged").write_bytes(values["damaged"][:100])
        with contextlib.suppress(OSError):
            os.close(os.open(m / "new-00000", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        shutil.copyfile(new.path / "new-00001", m / names[0])    # a replace
        (m / "new-00002").unlink()
        (m / ".staged").write_bytes(new.value("new-00003"))      # never committed
        (m / ".staged").unlink()
        shutil.rmtree(out)
        wait_until(gone(m.pid, values), "all values to be gone")
        environment = pathlib.Path(f"/proc/{m.pid}/environ").read_bytes()
        assert not any(mark in environment for value in values.values() for mark in memory.marks(value))
        assert memory.on_disk([tmp], values, but=[kept.path, new.path, m.path]) == []


@pytest.mark.parametrize("reader", ["cat", "cp", "mmap"])
def test_nothing_stays_in_the_page_cache(reader, mount, store, keys, programs, tmp, wait_until):
    kept = store("kept", {"key": keys.a()})
    with mount(kept.config, "-o", "size=exact") as m:
        if reader == "mmap":
            programs.run("/usr/bin/python3", "-c", "import mmap, sys; f = open(sys.argv[1], 'rb');"
                         "len(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)[:])", m / "key").expect(0)
        else:
            programs.run(reader, m / "key", *([tmp / "copy"] if reader == "cp" else []), stdout=subprocess.DEVNULL).expect(0)
        wait_until(lambda: memory.in_page_cache(m / "key") == 0, "the page cache to be empty")


def test_a_helper_that_waits_holds_no_bytes_of_the_keys_it_has_done(looked, programs, store, keys, tmp, wait_until):
    source, target = store("source", keys.many(15)), store("target")
    source.put("zz-last", keys.a())
    held, log = tmp / "held", tmp / "calls"
    held.touch()
    helper = programs.build / "tests/fault/kesfs-migrate-fault"
    running = programs.start([helper, "--from", source.config, "--to", target.config, "--no-verify"],
                             env={"KESFS_FAULT": f"target:create:zz-last:hold={held}", "KESFS_FAULT_LOG": str(log)})
    wait_until(lambda: "begin create zz-last" in log.read_text() and len(target.names()) >= 15, "the last key to be held")
    assert "zz-last" in memory.find(running.pid, source.all()), "the search finds nothing, so it proves nothing"
    done = {name: value for name, value in source.all().items() if name != "zz-last"}
    wait_until(gone(running.pid, done), "the values of the keys that are done to be gone")
    held.unlink()
    programs.finish(running).expect(0)
    assert target.all() == source.all()
