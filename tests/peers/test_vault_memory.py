# SPDX-License-Identifier: Apache-2.0
"""What an idle mount on Vault still knows: no key; of the login only what it needs, in locked memory that is never dumped."""
import pytest

from tests.support import memory
from tests.peers.test_vault import ALL, approle

pytestmark = pytest.mark.peers


def unlocked(pid):
    """The bytes of every readable region that may be swapped out or dumped."""
    flags, begin = {}, None
    for line in open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace"):
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            begin = line.split()
        elif first == "VmFlags:":
            flags[begin[0]] = (begin, line.split()[1:])
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for (span, mode, *rest), flag in flags.values():
            if mode[0] != "r" or "lo" in flag or (rest and rest[-1].startswith(("[vvar", "[vsyscall", "[vdso"))):
                continue
            start, end = (int(word, 16) for word in span.split("-"))
            try:
                mem.seek(start)
                yield span, mem.read(end - start)
            except OSError:
                continue


@pytest.mark.long
def test_an_idle_mount_holds_no_key_and_its_login_only_in_locked_memory(vault_engine, keys, mount, wait_until):
    memory.may_look()
    engine = vault_engine(2, transit=True)
    made = keys.many(40)
    engine.put_all(made)
    login = approle(engine, ALL)
    m = mount(engine.config(login))
    with open(m / "key-00007", "rb") as held:
        assert held.read() == made["key-00007"]
        wait_until(lambda: set(memory.find(m.pid, made)) == {"key-00007"}, "the one open key to be found, and no other")
    for name in made:
        assert (m / name).read_bytes() == made[name]
    more = {f"more-{i}": keys.a() for i in range(10)}
    for name, value in more.items():
        (m / name).write_bytes(value)
    made.update(more)
    wait_until(lambda: not memory.find(m.pid, made), "all keys to be forgotten")
    secret = login.secret.encode()
    assert any(secret in piece for _, piece in memory.regions(m.pid)), "the test would not find it"
    if any("lo" in line.split() for line in open(f"/proc/{m.pid}/smaps") if line.startswith("VmFlags:")):
        wait_until(lambda: not any(secret in piece for _, piece in unlocked(m.pid)), "the secret id to be only in locked memory")
        tokens = [b"hvs.", b"Bearer hv"]
        wait_until(lambda: not any(t in piece for _, piece in unlocked(m.pid) for t in tokens),
                   "the token to be only in locked memory")
