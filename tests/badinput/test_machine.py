# SPDX-License-Identifier: Apache-2.0
"""A machine that does not give what is needed: space, descriptors, locked memory, permission, FUSE.  One sentence that
says what to do, the documented exit status, nothing lost, nothing half done."""
import contextlib
import errno
import os
import shutil
import subprocess

import pytest

from tests.support.mounts import mounted, unmount
from tests.support.small import needs_root, resize, tmpfs

NOBODY = {"user": 65534, "group": 65534, "extra_groups": []}


def can_unshare():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0


private = pytest.mark.skipif(not can_unshare(), reason="needs root and mount namespaces")


def config(tmp, name, path):
    file = tmp / f"{name}.yml"
    file.write_text(f"keystore:\n  fs:\n    path: {path}\n")
    return file


def sentence(result, status):
    result.expect(status)
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].isprintable(), result
    return lines[0]


def whole(path, values):
    """What is in path is a part of values, each whole; no temporary file is left."""
    found = {name: (path / name).read_bytes() for name in os.listdir(path)}
    assert found.items() <= values.items()
    return found


# --- space, a read-only file system --------------------------------------------------------------------------------

@needs_root
def test_a_full_disk_ends_the_helper_with_5_and_a_second_run_finishes(migrate, store, keys, tmp):
    values = keys.many(100)
    a = store("a", values)
    with tmpfs(tmp / "small", "size=128k") as small:
        result = migrate("--from", a.config, "--to", config(tmp, "b", small)).expect(5)
        assert "no space" in result.out + result.err
        assert 0 < len(whole(small, values)) < 100
        resize(small, "size=4m")
        migrate("--from", a.config, "--to", config(tmp, "b", small)).expect(0)
        assert whole(small, values) == values


@needs_root
def test_a_full_disk_does_not_lose_the_old_keys(migrate, mount, store, keys, tmp):
    old, new = keys.many(10), keys.many(10)
    a = store("a", new)
    with tmpfs(tmp / "small", "size=128k") as small:
        for name, value in old.items():
            (small / name).write_bytes(value)
        with open(small / ".filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
        migrate("--force", "--yes", "--from", a.config, "--to", config(tmp, "b", small)).expect(5)
        with mount(config(tmp, "c", small), "-o", "overwrite") as m:
            with pytest.raises(OSError) as caught:
                (m / "key-00000").write_bytes(new["key-00000"])
            assert caught.value.errno == errno.ENOSPC
        (small / ".filler").unlink()
        assert whole(small, old) == old


@needs_root
def test_a_full_disk_is_enospc_at_close(mount, store, keys, tmp):
    with tmpfs(tmp / "small", "size=4k") as small:
        value = keys.a()
        with mount(config(tmp, "b", small)) as m:
            (m / "fits").write_bytes(value)
            with pytest.raises(OSError) as caught:
                (m / "too-much").write_bytes(keys.a())
            assert caught.value.errno == errno.ENOSPC
            m.wait_log("too-much")
        assert whole(small, {"fits": value}) == {"fits": value}


@needs_root
def test_a_read_only_file_system_is_refused_before_anything_is_done(migrate, mount, programs, store, keys, tmp):
    a = store("a", keys.many(3))
    with tmpfs(tmp / "fixed", "size=1m") as fixed:
        value = keys.a()
        (fixed / "here").write_bytes(value)
        resize(fixed, "ro")
        result = migrate("--from", a.config, "--to", config(tmp, "b", fixed)).expect(7)
        assert "read-only" in result.err
        assert "- write" in programs.run(programs.kesfs, "--probe", config(tmp, "b", fixed)).expect(0).out
        with mount(config(tmp, "b", fixed)) as m:
            assert (m / "here").read_bytes() == value
            with pytest.raises(OSError) as caught:
                (m / "new").write_bytes(keys.a())
            assert caught.value.errno == errno.EROFS


# --- limits --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("files", [4, 5, 6, 7, 8, 10, 13])
def test_too_few_descriptors_end_the_helper_with_a_sentence(programs, store, keys, files):
    values = keys.many(40)
    a, b = store("a", values), store("b")
    result = programs.run("prlimit", f"--nofile={files}", programs.kesfs_migrate, "--from", a.config, "--to", b.config)
    if result.status == 127:
        pytest.skip("the program cannot even be loaded with so few")
    assert result.status in (0, 5, 7) and result.err, result
    assert whole(b.path, values) == values if result.status == 0 else whole(b.path, values) is not None
    if result.status:
        assert "too many open files" in (result.out + result.err).lower()
    programs.migrate("--from", a.config, "--to", b.config).expect(0)
    assert b.all() == values


@pytest.mark.parametrize("files", [4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16])
def test_too_few_descriptors_end_kesfs_with_a_sentence_or_let_it_serve(programs, store, keys, tmp, files):
    a = store("a", {"k": keys.a()})
    place = tmp / "mnt"
    place.mkdir()
    try:
        result = programs.run("prlimit", f"--nofile={files}", programs.kesfs, a.config, place)
        if result.status == 127:
            pytest.skip("the program cannot even be loaded with so few")
        if result.status:
            assert result.err.startswith("kesfs: ") and result.err.isascii(), result
            assert mounted(place) is None
        else:
            assert os.listdir(place) == ["k"]
    finally:
        unmount(place)


def test_little_locked_memory_is_enough_for_many_keys(programs, store, keys, mount):
    values = keys.many(300)
    a, b = store("a", values), store("b")
    programs.run("prlimit", "--memlock=65536", programs.kesfs_migrate, "--from", a.config, "--to", b.config).expect(0)
    assert b.all() == values
    with mount(a.config, "-o", "ro", command=["prlimit", "--memlock=65536", programs.kesfs]) as m:
        assert {name: (m / name).read_bytes() for name in os.listdir(m)} == values


def reachable_for_nobody(program):
    return subprocess.run([program, "--version"], check=False, capture_output=True, **NOBODY).returncode == 0


@pytest.fixture
def nobody(programs, tmp):
    """An ordinary user who can run the programs, with a directory of his own."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    place = tmp / "nobody"
    place.mkdir()
    # Where the build is may be closed to others.
    for program in (programs.kesfs, programs.kesfs_migrate):
        shutil.copy(program, place / program.name)
    os.chown(place, 65534, 65534)
    tmp.parent.chmod(0o755)
    if not reachable_for_nobody(place / "kesfs"):
        pytest.skip("an ordinary user cannot run programs from here")
    return place


def test_memory_that_cannot_be_locked_is_one_warning(programs, nobody, keys):
    (nobody / "a").mkdir()
    value = keys.a()
    (nobody / "a/k").write_bytes(value)
    (nobody / "b").mkdir()
    for place in ("a", "a/k", "b"):
        os.chown(nobody / place, 65534, 65534)
    result = programs.run("prlimit", "--memlock=0", nobody / "kesfs-migrate", "--from", nobody / "a", "--to", nobody / "b",
                          **NOBODY).expect(0)
    if not os.environ.get("KESFS_TEST_SANITIZED"):        # such a build locks nothing
        assert result.err.count("could not be locked") == 1, result
    assert (nobody / "b/k").read_bytes() == value


# --- a private namespace -------------------------------------------------------------------------------------------

# Another /dev, with the directory of the tests in it, and without FUSE.
DEV = ("mount -t tmpfs dev /mnt; mknod -m 666 /mnt/null c 1 3; mkdir /mnt/shm; mount --rbind /dev/shm /mnt/shm; "
       "mount --move /mnt /dev; ")
FUSE = "mknod -m 666 /dev/fuse c 10 229; "
AS_NOBODY = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"'


def in_private(programs, script, *arguments, **how):
    """Run script in a mount namespace of its own; what it mounts goes with it."""
    return programs.run("unshare", "-m", "--propagation", "private", "sh", "-euc", script, "sh", *arguments, **how)


# --- permission ----------------------------------------------------------------------------------------------------

def test_a_directory_that_may_not_be_read_is_status_7(programs, nobody, store, keys):
    a = store("a", {"k": keys.a()})
    a.config.chmod(0o644)
    for command in (["kesfs", "--probe", a.config], ["kesfs-migrate", "--list", "--from", a.config]):
        result = programs.run(nobody / command[0], *command[1:], **NOBODY)
        assert "a" in sentence(result, 7)


@private
def test_a_mount_point_of_somebody_else_is_status_7(programs, nobody, tmp):
    (tmp / "mine").mkdir()
    (nobody / "a").mkdir()
    result = in_private(programs, f"{DEV}{FUSE}{AS_NOBODY}", nobody / "kesfs", nobody / "a", tmp / "mine")
    assert sentence(result, 7).endswith("is not writable for you: take a directory of your own")


# --- FUSE ----------------------------------------------------------------------------------------------------------

@private
def test_without_dev_fuse_one_sentence_says_what_to_do(programs, store, tmp):
    a = store("a")
    (tmp / "mnt").mkdir()
    result = in_private(programs, f'{DEV}exec "$@"', programs.kesfs, a.config, tmp / "mnt")
    said = sentence(result, 1)
    assert said.startswith("kesfs: /dev/fuse cannot be opened: No such file or directory: load the kernel module"), said
    assert "--device /dev/fuse" in said


@private
def test_a_file_in_place_of_dev_fuse_is_noticed(programs, store, tmp):
    a = store("a")
    (tmp / "mnt").mkdir()
    result = in_private(programs, 'touch "$1"; mount --bind "$1" /dev/fuse; shift; exec "$@"', tmp / "file", programs.kesfs,
                        a.config, tmp / "mnt")
    assert "/dev/fuse cannot be opened" in sentence(result, 1)


@private
def test_without_fusermount3_an_ordinary_user_is_told_the_package(programs, nobody, tmp):
    for directory in ("a", "mnt"):
        (nobody / directory).mkdir()
        os.chown(nobody / directory, 65534, 65534)
    result = in_private(programs, f'{DEV}{FUSE}mount --bind /dev/null "$(command -v fusermount3)"; {AS_NOBODY}',
                        nobody / "kesfs", nobody / "a", nobody / "mnt")
    assert sentence(result, 1) == "kesfs: the program fusermount3 is missing: install the package fuse3, or mount as root"


@private
def test_allow_other_without_user_allow_other_is_told_the_line(programs, nobody):
    for directory in ("a", "mnt"):
        (nobody / directory).mkdir()
        os.chown(nobody / directory, 65534, 65534)
    (nobody / "fuse.conf").write_text("# user_allow_other\nuser_allow_others\n")
    result = in_private(programs, f'mount --bind "$1" /etc/fuse.conf; shift; {DEV}{FUSE}{AS_NOBODY}', nobody / "fuse.conf",
                        nobody / "kesfs", nobody / "a", nobody / "mnt", "-o", "allow_other")
    assert "needs the line user_allow_other in /etc/fuse.conf" in sentence(result, 2)


@private
def test_root_without_the_capability_to_mount_gets_a_sentence(programs, store, tmp):
    a = store("a")
    (tmp / "mnt").mkdir()
    result = programs.run("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", programs.kesfs, a.config,
                          tmp / "mnt")
    assert result.status in (1, 7) and f"kesfs: mounting on {tmp}/mnt failed" in result.err, result
    assert "Operation not permitted" in result.err, result
    assert mounted(tmp / "mnt") is None
