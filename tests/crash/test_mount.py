# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed while programs write through the mount.  Each key in the store is then whole or absent, and
after a new mount on the same place the same copy finishes."""
import signal
import time

import pytest

from tests.support.small import needs_root, resize, tmpfs


@pytest.mark.limit(1800)
@pytest.mark.parametrize("place", ["tmp", "disk"])
def test_a_killed_daemon_leaves_whole_keys_and_a_new_one_finishes(place, store, keys, mount, programs, rounds, request):
    where = request.getfixturevalue(place)
    source = store("source", keys.many(200), place=where)
    copy = ["cp", *(source.path / name for name in source.names())]
    full = None
    for round_ in rounds:
        target = store(f"target-{rounds.done}", place=where)
        with mount(target.config) as m:
            process, began = programs.start([*copy, m.path]), time.monotonic()
            if full is None:
                programs.finish(process).expect(0)
                full = time.monotonic() - began
                continue
            rounds.wait(full, process)
            m.kill()
            programs.finish(process, check=False)
        now = {name: value for name, value in target.all().items() if not name.startswith(".")}
        for name, value in now.items():
            assert value == source.value(name), f"{name} is damaged: {round_}"
        with mount(target.config) as m:
            missing = [source.path / name for name in source.names() if name not in now]
            if missing:
                programs.run("cp", *missing, m.path).expect(0)
        assert {name: value for name, value in target.all().items() if not name.startswith(".")} == source.all()


def visible(path):
    return {file.name: file.read_bytes() for file in path.iterdir() if not file.name.startswith(".")}


@needs_root
@pytest.mark.limit(1800)
def test_a_daemon_that_is_killed_while_its_disk_fills_up_leaves_whole_keys(store, keys, mount, programs, rounds, tmp):
    source = store("source", keys.many(100))
    kept = {name: keys.a() for name in source.names()[::5]}
    full = None
    for round_ in rounds:
        place = tmp / f"small-{rounds.done}"
        with tmpfs(place, "size=160k") as small:
            for name, value in kept.items():
                (small / name).write_bytes(value)
            with mount(small, "-o", "overwrite") as m:
                copy = ["cp", *(source.path / name for name in source.names()), m.path]
                process, began = programs.start(copy), time.monotonic()
                if full is not None:
                    rounds.wait(full, process)
                    m.kill()
                    programs.finish(process, check=False)
                else:
                    assert "No space left on device" in programs.finish(process).expect(1).err
                    full = time.monotonic() - began
            now = visible(small)
            assert set(kept) <= set(now), round_
            for name, value in now.items():
                assert value in (kept.get(name), source.value(name)), f"{name} is damaged: {round_}"
            resize(small, "size=4m")
            with mount(small, "-o", "overwrite") as m:
                programs.run("cp", *(source.path / name for name in source.names()), m.path).expect(0)
            assert visible(small) == source.all(), round_


@pytest.mark.limit(1800)
def test_a_daemon_that_is_killed_while_it_replaces_leaves_the_old_or_the_new_key(store, keys, mount, programs, rounds):
    old, new = keys.many(200), keys.many(200)
    source = store("source", new)
    full = 0.1
    for round_ in rounds:
        target = store(f"target-{rounds.done}", old)
        with mount(target.config, "-o", "overwrite") as m:
            process = programs.start(["cp", *(source.path / name for name in new), m.path])
            rounds.wait(full, process)
            m.kill()
            programs.finish(process, check=False)
        now = {name: value for name, value in target.all().items() if not name.startswith(".")}
        assert set(now) == set(old), round_
        for name, value in now.items():
            assert value in (old[name], new[name]), f"{name} is damaged: {round_}"


@pytest.mark.limit(1800)
def test_the_helper_says_what_a_killed_daemon_left_undone(store, keys, mount, programs, migrate, rounds):
    source = store("source", keys.many(300))
    full = 0.1
    rounds.seconds = min(rounds.seconds, 2)
    for round_ in rounds:
        target = store(f"target-{rounds.done}")
        with mount(target.config) as m:
            process = programs.start([programs.kesfs_migrate, "--from", source.path, "--to", m.path])
            rounds.wait(full, process)
            m.send(signal.SIGKILL)
            result = programs.finish(process)
            m.kill()
        now = target.all()
        for name, value in now.items():
            assert value == source.value(name), f"{name} is damaged: {round_}"
        if len(now) < 300:
            assert result.status not in (0, 6), f"{round_}: {result}"
        migrate("--from", source.path, "--to", target.path).expect(0)
        assert target.all() == source.all()
