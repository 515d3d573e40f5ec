# SPDX-License-Identifier: Apache-2.0
"""kesfs mounts as sides: the mount's store does what the directory store does elsewhere."""
import os
import signal

import pytest


@pytest.fixture
def mounted(mount, sides):
    """(a, b, ma, mb): two stores, both mounted, the target with overwrite."""
    a, b = sides
    return a, b, mount(a.config, "-o", "ro"), mount(b.config, "-o", "overwrite")


@pytest.mark.parametrize("naming", ["mount to mount", "mount to file", "file to mount", "directory to mount"])
def test_keys_pass_between_mounts_files_and_directories(migrate, mounted, naming):
    a, b, ma, mb = mounted
    source = {"m": ma.path, "f": a.config, "d": a.path}[naming[0]]
    target = mb.path if naming.endswith("mount") else b.config
    result = migrate("--from", source, "--to", target).expect(0)
    assert b.all() == a.all() and "verified" in result.err
    assert "identical              3" in migrate("--from", source, "--to", target).expect(0).err
    migrate("--check", "--from", source, "--to", target).expect(0)


def test_every_mode_on_a_mount(migrate, mounted, keys):
    a, b, ma, mb = mounted
    other = keys.a()
    b.put("beta", other)
    mb.refresh()
    migrate("--from", ma.path, "--to", mb.path).expect(6)
    assert b.all() == {"beta": other}
    migrate("--from", ma.path, "--to", mb.path, "--merge").expect(6)
    assert b.all() == {**a.all(), "beta": other}
    migrate("--from", ma.path, "--to", mb.path, "--force").expect(0)
    assert b.all() == a.all()


def test_a_mount_and_its_store_are_the_same_store(migrate, mounted):
    a, b, ma, mb = mounted
    for source, target in ((ma.path, a.config), (a.path, ma.path), (mb.path, b.path), (b.config, mb.path)):
        migrate("--from", source, "--to", target).expect({2, 3})
    assert "the same store" in migrate("--from", ma.path, "--to", a.path).expect(2).err


def test_a_mount_without_overwrite_refuses_a_replace_and_the_old_key_stays(migrate, mount, sides, keys):
    a, b = sides
    other = keys.a()
    b.put("beta", other)
    m = mount(b.config)
    result = migrate("--from", a.path, "--to", m.path, "--force").expect({1, 6, 7})
    assert b.value("beta") == other and "beta" in result.out


def test_a_read_only_mount_as_target_is_7_and_named(migrate, mount, sides):
    a, b = sides
    m = mount(b.config, "-o", "ro")
    result = migrate("--from", a.path, "--to", m.path).expect(7)
    assert b.names() == [] and "read-only" in result.err


def test_many_keys_from_mount_to_mount(migrate, mount, store, keys):
    a, b = store("a", keys.many(500)), store("b")
    ma, mb = mount(a.config), mount(b.config)
    migrate("--from", ma.path, "--to", mb.path).expect(0)
    assert b.all() == a.all()


def test_a_mount_that_died_is_named(migrate, mount, sides):
    a, b = sides
    m = mount(b.config)
    m.kill()
    result = migrate("--from", a.path, "--to", m.path)
    assert result.status in (1, 5, 7) and "mount" in result.err


def test_list_through_a_mount(migrate, mount, sides):
    a, _ = sides
    m = mount(a.config, "-o", "ro")
    assert migrate("--list", "--from", m.path).expect(0).lines == a.names()
    assert [line.split()[0] for line in migrate("--list", "--long", "--from", m.path).expect(0).lines[1:]] == a.names()


@pytest.mark.parametrize("ending", ["the store recovers", "an interrupt"])
def test_a_key_that_a_mount_has_lost_in_a_replace_is_put_back_by_the_run_or_called_lost(
        mount, programs, store, keys, tmp, wait_until, ending):
    a, b, rules = store("a", {"k": keys.a()}), store("b", {"k": keys.a()}), tmp / "rules"
    old = b.value("k")
    rules.write_text("*:*:*:gap,*:create:k:fail=EACCES")
    m = mount(b.config, "-o", "overwrite,timeout=1", command=[programs.build / "tests/fault/kesfs-fault"],
              env={"KESFS_FAULT": f"@{rules}"})
    process = programs.start([programs.kesfs_migrate, "--force", "--from", a.path, "--to", m.path])
    said = next(entry[2] for entry in programs.started if entry[0] is process)
    wait_until(lambda: b"'k' was removed for a replace" in os.pread(said.fileno(), 1 << 20, 0), "the word of the run")
    assert b.names() == []
    if ending == "an interrupt":
        process.send_signal(signal.SIGINT)
        assert "LOST" in programs.finish(process).expect(8).out
    (tmp / "fresh").write_text("*:*:*:gap")
    (tmp / "fresh").rename(rules)
    if ending != "an interrupt":
        assert "k: the replace failed" in programs.finish(process).expect({1, 5}).out
    wait_until(lambda: b.all() == {"k": old}, "the old key")
    assert m.stop() == 0
