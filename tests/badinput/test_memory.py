# SPDX-License-Identifier: Apache-2.0
"""Without memory a program does its work or ends with one clear sentence and status 5: nothing is lost, nothing half
done, and the same command finishes the work once there is memory again.  A mount that stands stays."""
import errno
import os
import subprocess

import pytest

from tests.support.mounts import mounted, unmount
from tests.support.nomem import Failing, chosen, needs_own_allocator

pytestmark = needs_own_allocator
ABOUT_MEMORY = ("no memory", "out of memory", "cannot allocate memory", "no locked memory")
KEYS = 8
VAULT = """keystore:
  vault:
    endpoint: http://127.0.0.1:9
    approle:
      id: kesfs
      secret: not-a-secret
"""


@pytest.fixture(params=["some", pytest.param("each", marks=pytest.mark.long)])
def every(request):
    return request.param == "each"


@pytest.fixture
def failing(programs, tmp):
    return Failing(programs, tmp)


class Work:
    """One command on a source and a target, and what the target may hold afterwards."""

    def __init__(self, kind, store, keys):
        self.kind, self.new = kind, keys.many(KEYS)
        self.old = {name: keys.a() for name in list(self.new)[::2]} if kind == "force" else {}
        self.source, self.target = store("source", self.new), store("target", self.old)
        if kind == "check":
            self.old = self.new
        self.restore()

    def restore(self):
        for name in self.target.names():
            (self.target.path / name).unlink()
        for name, value in self.old.items():
            self.target.put(name, value)

    def command(self, programs):
        sides = ["--from", self.source.config, "--to", self.target.config]
        return {"copy": [programs.kesfs_migrate, *sides], "force": [programs.kesfs_migrate, "--force", "--yes", *sides],
                "check": [programs.kesfs_migrate, "--check", *sides],
                "list": [programs.kesfs_migrate, "--list", "--long", "--from", self.source.config],
                "probe": [programs.kesfs, "--probe", self.source.config]}[self.kind]

    def check(self, result, where):
        assert result.status in (0, 5), f"{where}: {result}"
        if result.status:
            said = (result.out + result.err).lower()
            assert any(words in said for words in ABOUT_MEMORY), f"{where}: {result}"
            assert all(line.isprintable() for line in result.err.splitlines()), f"{where}: {result}"
        assert self.source.all() == self.new, where
        now = self.target.all()
        for name, value in now.items():
            assert value in (self.old.get(name), self.new.get(name)), f"{where}: {name} is damaged"
        assert set(self.old) <= set(now), f"{where}: a key is lost"
        if self.kind in ("copy", "force") and result.status == 0:
            assert now == self.new, where


@pytest.mark.limit(600)
@pytest.mark.parametrize("kind", ["copy", "force", "check", "list", "probe"])
def test_an_allocation_that_fails_ends_a_run_with_5_and_the_next_one_finishes(kind, every, programs, store, keys, failing):
    work = Work(kind, store, keys)
    command = work.command(programs)
    count = failing.count(lambda: programs.run(*command, env=failing.environment()).expect(0))
    assert count > 50
    for n in chosen(count, every):
        work.restore()
        failing.arm(n)
        work.check(programs.run(*command, env=failing.environment()), f"allocation {n} of {count}")
        if n % 16 == 0:
            programs.run(*command).expect(0)
            assert kind not in ("copy", "force") or work.target.all() == work.new


@pytest.mark.limit(600)
def test_the_network_without_an_allocation_ends_with_a_sentence(every, programs, tmp, failing):
    (tmp / "vault.yml").write_text(VAULT)
    command = [programs.kesfs, "--probe", tmp / "vault.yml"]
    count = failing.count(lambda: programs.run(*command, env=failing.environment()).expect(5))
    for n in range(0, count, 1 + count // (60 if every else 5)):
        failing.arm(n)
        result = programs.run(*command, env=failing.environment()).expect(5)
        assert result.err.startswith("kesfs: ") and len(result.err.splitlines()) == 1, f"allocation {n}: {result}"


def loads(limit, kib, program):
    """With so little not even the program and its libraries find room, and the kernel or the loader ends it."""
    return subprocess.run(["prlimit", f"--{limit}={kib * 1024}", program, "--version"], check=False,
                          capture_output=True).returncode == 0


@pytest.mark.limit(600)
@pytest.mark.parametrize("limit", ["as", "data"])
@pytest.mark.parametrize("kind", ["copy", "force", "check", "probe"])
def test_an_address_space_that_is_too_small_ends_a_run_with_5(kind, limit, every, programs, store, keys):
    work = Work(kind, store, keys)
    command = work.command(programs)
    least = next(kib for kib in range(256, 1 << 20, 256) if loads(limit, kib, command[0]))
    seen = set()
    for kib in range(least, least + 32768, 256 if every else 2048):
        work.restore()
        result = programs.run("prlimit", f"--{limit}={kib * 1024}", *command)
        work.check(result, f"{kib} KiB")
        seen.add(result.status)
    assert seen == {0, 5}
    programs.run(*command).expect(0)
    assert kind not in ("copy", "force") or work.target.all() == work.new


@pytest.mark.limit(600)
def test_an_allocation_that_fails_at_the_start_of_a_mount_is_5_or_it_serves(every, programs, store, keys, tmp, failing):
    a, place, log = store("a", keys.many(3)), tmp / "mnt", tmp / "log"
    place.mkdir()
    for n in chosen(140, every):
        failing.arm(n)
        try:
            result = programs.run(programs.kesfs, a.config, place, "-o", f"log={log}", env=failing.environment())
            if result.status:
                lines = result.err.splitlines()
                assert result.status == 5 and any(words in lines[-1].lower() for words in ABOUT_MEMORY), f"{n}: {result}"
                assert mounted(place) is None
            else:
                failing.arm(-1)
                assert {name: (place / name).read_bytes() for name in os.listdir(place)} == a.all(), f"{n}: {log.read_text()}"
        finally:
            unmount(place)


class Calls:
    """What a user does on a mount, one name: each returns whether what it says is true."""

    def __init__(self, m, store_, keys):
        self.m, self.store, self.keys, self.number = m, store_, keys, 0

    def name(self):
        self.number += 1
        return f"new-{self.number}"

    def value_is(self, name, *values):
        return self.store.all().get(name) in values

    def read(self):
        return (self.m / "k").read_bytes() == self.store.value("k")

    def listing(self):
        return sorted(os.listdir(self.m)) == self.store.names()

    def create(self):
        name, value = self.name(), self.keys.a()
        try:
            (self.m / name).write_bytes(value)
        except OSError:
            assert self.value_is(name, None, value), name
            raise
        return self.value_is(name, value)

    def replace(self):
        # The close after one that heard ENOMEM still stores what was written: whole, with a line in the log.
        old, value = self.store.value("k"), self.keys.a()
        try:
            (self.m / "k").write_bytes(value)
        except OSError:
            assert self.value_is("k", old, value)
            raise
        return self.value_is("k", value)

    def rename(self):
        name, value = self.name(), self.keys.a()
        (self.m / f".{name}").write_bytes(value)
        try:
            os.rename(self.m / f".{name}", self.m / name)
        except OSError:
            assert self.value_is(name, None), name
            raise
        return self.value_is(name, value)

    def unlink(self):
        self.store.put("gone", self.keys.a())
        try:
            os.unlink(self.m / "gone")
        except OSError:
            assert "gone" in self.store.names()
            raise
        return "gone" not in self.store.names()

    def status(self):
        return b'"reachable"' in (self.m / ".kesfs/status").read_bytes()

    def about(self):
        return b'"algorithm"' in (self.m / ".kesfs/keys/k").read_bytes()

    def refresh(self):
        return (self.m / ".kesfs/refresh").read_bytes().endswith(b"\n")

    def chmod(self):
        os.chmod(self.m / "k", 0o400)
        return True


CALLS = ["read", "listing", "create", "replace", "rename", "unlink", "status", "about", "refresh", "chmod"]


@pytest.mark.parametrize("call", CALLS)
def test_an_allocation_that_fails_in_a_call_is_that_callers_and_the_mount_goes_on(call, mount, store, keys, failing):
    # EINVAL: a write of which libfuse could not take the message, and then a close without data.
    allowed = {errno.ENOMEM} | ({errno.EINVAL} if call in ("create", "replace", "rename") else set())
    a = store("a", {"k": keys.a()})
    refused = 0
    with mount(a.config, "-o", "overwrite,delete", env=failing.environment()) as m:
        assert m.status()["reachable"]        # the mount is being served
        calls = Calls(m, a, keys)
        # Each twice: the answer to an earlier close may take the first one.
        for n in (n // 2 for n in range(160)):
            failing.arm(n)
            try:
                assert getattr(calls, call)(), n
            except OSError as error:
                assert error.errno in allowed, f"allocation {n}: {error}"
                refused += 1
            failed = failing.left() < 0
            failing.arm(-1)
            assert getattr(calls, call)(), f"after allocation {n}"
            if not failed:
                break
        assert refused > 0
        m.refresh()
        assert sorted(os.listdir(m)) == a.names()
        assert {name: (m / name).read_bytes() for name in a.names()} == a.all()
