# SPDX-License-Identifier: Apache-2.0
"""The power fails: what a file system had not sent to its disk by then is gone.  The disk is an image behind a loop
device, and a copy of it is what a machine finds when it comes up again."""
import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.support.mounts import unmount

JOURNALS = {"journal": [], "no journal": ["-O", "^has_journal"]}


def run(*command):
    return subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True)


@contextlib.contextmanager
def mounted(image, place):
    place.mkdir(exist_ok=True)
    done = run("mount", "-o", "loop", image, place)
    if done.returncode != 0:
        pytest.skip(f"a loop device cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        unmount(place)


class Disk:
    def __init__(self, tmp, *options, image=None):
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            pytest.skip("needs root and mkfs.ext4")
        self.tmp, self.image = tmp, image or tmp / "image"
        with open(self.image, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", *options, self.image], check=True)

    def mounted(self):
        return mounted(self.image, self.tmp / "disk")

    def after_a_power_cut(self):
        """{name: value} of the keys in the store when the machine is up again.  The old file of a replace may come back
        under its temporary name; the store removes it after an hour."""
        copy = self.tmp / "copy"
        copy.write_bytes(self.image.read_bytes())
        assert run("e2fsck", "-fy", copy).returncode in (0, 1)
        with mounted(copy, self.tmp / "again") as place:
            keys = place / "keys"
            return {name: (keys / name).read_bytes() for name in os.listdir(keys) if not name.startswith(".")}


@pytest.fixture(params=JOURNALS.values(), ids=JOURNALS)
def power(request, tmp):
    return Disk(tmp, *request.param)


@pytest.mark.parametrize("transfers", [[], ["-j", "1"], ["-j", "4"]], ids=["many at once", "one", "four"])
def test_after_a_run_that_said_done_every_key_survives(transfers, power, store, keys, programs):
    source = store("source", keys.many(400))
    with power.mounted() as place:
        (place / "keys").mkdir()
        os.sync()
        programs.migrate(*transfers, "--from", source.path, "--to", place / "keys").expect(0)
        assert power.after_a_power_cut() == source.all()


def test_replaced_keys_survive(power, store, keys, programs):
    source = store("source", keys.many(100))
    with power.mounted() as place:
        target = store("keys", keys.many(100), place=place)
        os.sync()
        programs.migrate("--force", "--from", source.path, "--to", target.path).expect(0)
        assert power.after_a_power_cut() == source.all()


@pytest.fixture
def journaled(tmp):
    """Cut while something is written, an ext4 without a journal may be damaged beyond what e2fsck repairs, whatever was
    synced: there is nothing to be promised."""
    return Disk(tmp)


@pytest.mark.limit(1800)
def test_a_cut_at_any_moment_leaves_whole_keys_and_all_that_were_reported(journaled, store, keys, programs, rounds):
    source = store("source", keys.many(2000))
    values = source.all()
    with journaled.mounted() as place:
        for round_ in rounds:
            shutil.rmtree(place / "keys", ignore_errors=True)
            (place / "keys").mkdir()
            os.sync()
            process = programs.start([programs.kesfs_migrate, "-v", "--from", source.path, "--to", place / "keys"])
            rounds.wait(0.5, process)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.01)                # until its threads stand; what they write in it is no harm
            found = journaled.after_a_power_cut()
            process.send_signal(signal.SIGKILL)
            result = programs.finish(process, check=False)
            assert found.items() <= values.items(), round_
            reported = {line[2:-1] for line in result.out.splitlines(True) if line.startswith("+ ") and line.endswith("\n")}
            assert reported <= set(found), round_


@contextlib.contextmanager
def tmpfs(place, size):
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "kesfs-test", place], check=True)
    try:
        yield place
    finally:
        unmount(place)


@pytest.mark.parametrize("transfers", [[], ["-j", "4"]], ids=["many at once", "four"])
def test_on_a_disk_that_fails_no_key_is_reported_that_is_not_there(transfers, store, keys, programs, tmp):
    """The image lies where there is no room for all of it: when that is full, writing to the disk is an error.  (Without
    a journal ext4 may then lose the entries of older files, too.)"""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    source = store("source", keys.many(4000))
    values = source.all()
    with tmpfs(tmp / "small", "12m") as small:
        disk = Disk(tmp, "-b", "4096", image=small / "image")
        with disk.mounted() as place:
            (place / "keys").mkdir()
            os.sync()
            result = programs.migrate("-v", *transfers, "--from", source.path, "--to", place / "keys").expect({1, 5, 7})
            found = disk.after_a_power_cut()
    assert found.items() <= values.items()
    reported = {line[2:] for line in result.lines if line.startswith("+ ")}
    assert reported <= set(found), sorted(reported - set(found))[:5]
    assert 0 < len(reported) < len(values)


def test_on_a_full_file_system_each_key_is_told_what_became_of_it(store, keys, programs, tmp):
    source = store("source", keys.many(1000))
    values = source.all()
    disk = Disk(tmp, "-N", "512")
    with disk.mounted() as place:
        (place / "keys").mkdir()
        os.sync()
        result = programs.migrate("-v", "--from", source.path, "--to", place / "keys").expect(5)
        created = {line[2:] for line in result.lines if line.startswith("+ ")}
        failed = {line[2:].split(":")[0] for line in result.lines if line.startswith("! ") and "no space is left" in line}
        assert created | failed == set(values) and not created & failed
        assert disk.after_a_power_cut() == {name: values[name] for name in created}
