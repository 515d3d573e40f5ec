# SPDX-License-Identifier: Apache-2.0
"""Networks as they are: slow, lossy, silent; and names that do not resolve."""
import os
import re

import pytest

pytestmark = pytest.mark.peers


@pytest.mark.long
@pytest.mark.parametrize("delay", [20, 200])
def test_over_a_slow_network_many_requests_are_on_their_way_at_once(delay, vault_engine, toxiproxy, store, keys, migrate):
    engine, source = vault_engine(2), store("source", keys.many(500))
    proxy = toxiproxy(engine.vault.port)
    proxy.delay(delay)
    said = migrate("--from", source.config, "--to", engine.config(endpoint=proxy.endpoint)).expect(0)
    assert engine.all() == source.all()
    elapsed = float(re.search(r"elapsed +([\d.]+) s", said.err)[1])
    assert elapsed < 1000 * delay / 1000 / 3, f"{elapsed} s: one request after the other would take {1000 * delay / 1000} s"


@pytest.mark.long
def test_connections_that_are_cut_at_random_bytes_lose_no_key(vault_engine, toxiproxy, store, keys, migrate):
    engine, source = vault_engine(2), store("source", keys.many(400))
    proxy = toxiproxy(engine.vault.port)
    proxy.toxic("limit_data", bytes=20000)
    migrate("--from", source.config, "--to", engine.config(endpoint=proxy.endpoint), timeout=110)
    there = engine.all()
    assert all(source.value(name) == value for name, value in there.items())
    proxy.heal()
    migrate("--from", source.config, "--to", engine.config()).expect(0)
    assert engine.all() == source.all()


@pytest.mark.long
def test_a_black_hole_frees_the_reader_in_time_and_heals(vault_engine, toxiproxy, keys, mount, programs, wait_until):
    engine = vault_engine(1)
    engine.put_all(keys.many(3))
    proxy = toxiproxy(engine.vault.port)
    m = mount(engine.config(endpoint=proxy.endpoint), "-o", "ro,timeout=5")
    proxy.toxic("timeout", timeout=0)
    said = programs.run("cat", m / "key-00001", timeout=50)
    assert said.status == 1 and re.search("timed out|Input/output", said.err), said
    proxy.heal()
    wait_until(lambda: (m / "key-00001").read_bytes() == engine.value("key-00001"), "the mount to read again")


def test_a_name_that_does_not_resolve_is_named(vault_engine, migrate):
    engine = vault_engine(1)
    said = migrate("--timeout", "5", "--list", "--from", engine.config(endpoint="http://vault.kesfs.invalid:8200")).expect(5)
    assert "vault.kesfs.invalid" in said.err and len(said.err.splitlines()) <= 2, said


@pytest.mark.long
def test_a_name_that_stops_resolving_is_an_outage_and_no_more(vault_own, vault_engine, keys, programs, tmp):
    """In a mount namespace of its own, where /etc/hosts is ours to change."""
    if os.geteuid() != 0 or programs.run("unshare", "-m", "true").status != 0:
        pytest.skip("only root may have an /etc/hosts of his own")
    own = vault_own()
    engine = vault_engine(2, vault=own)
    engine.put_all(keys.many(3))
    hosts = tmp / "hosts"
    hosts.write_text("127.0.0.1 localhost vault.kesfs.invalid\n")
    config = engine.config(endpoint=f"http://vault.kesfs.invalid:{own.port}")

    def listed():
        return programs.run("unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc/hosts && exec "$2" --timeout 5 --list --from "$3"',
                            "sh", hosts, programs.kesfs_migrate, config)
    assert len(listed().expect(0).lines) == 3
    hosts.write_text("127.0.0.1 localhost\n")
    said = listed().expect(5)
    assert "vault.kesfs.invalid" in said.err, said
    hosts.write_text("127.0.0.1 localhost vault.kesfs.invalid\n")
    assert len(listed().expect(0).lines) == 3
