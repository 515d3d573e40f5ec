# SPDX-License-Identifier: Apache-2.0
"""A real cluster of three, asked at a standby: what it forwards, where it sends us, and a leader that goes in the middle."""
import os

import pytest

from tests.peers.test_vault import ALL, approle, rules
from tests.peers.test_vault_faults import completes
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.peers, pytest.mark.limit(240)]
COUNT = 150
WAYS = pytest.mark.parametrize("redirect", [False, True], ids=["forwarding", "redirecting"])


@pytest.fixture
def source(store, keys):
    return store("source", keys.many(COUNT))


def standby(cluster):
    return wait_until(lambda: cluster.standbys()[0], "a standby that knows its leader")


@WAYS
@pytest.mark.parametrize("version", [1, 2])
def test_a_standby_serves_like_the_leader(version, redirect, vault_cluster, vault_engine, source, keys, tripwire, store,
                                          mount, migrate):
    cluster = vault_cluster(redirect=redirect)
    engine = vault_engine(version, vault=cluster, transit=True)
    login = cluster.approle(engine.policy(*rules(engine, ALL)))
    wire = tripwire(standby(cluster).port)
    config = engine.config(login, endpoint=wire.endpoint)
    migrate("--from", source.config, "--to", config).expect(0)
    assert engine.all() == source.all()
    if redirect:
        # Once it is known who leads, nobody asks the standby again.
        assert 0 < len(wire.seen) < COUNT, wire.seen
    back = store("back")
    migrate("--from", config, "--to", back.config).expect(0)
    assert back.all() == source.all()
    newer = store("newer", keys.many(COUNT))
    migrate("--force", "--from", newer.config, "--to", config).expect(0)
    assert engine.all() == newer.all()
    m = mount(config)
    assert sorted(os.listdir(m.path)) == newer.names()
    assert (m / newer.names()[0]).read_bytes() == newer.value(newer.names()[0])
    value = keys.a()
    (m / "another").write_bytes(value)
    assert engine.value("another") == value


@pytest.mark.parametrize("version, what, redirect", [
    (1, "stepped down", False), (1, "killed", True), (2, "stepped down", True), (2, "killed", False),
    pytest.param(1, "stepped down", True, marks=pytest.mark.long), pytest.param(1, "killed", False, marks=pytest.mark.long),
    pytest.param(2, "stepped down", False, marks=pytest.mark.long), pytest.param(2, "killed", True, marks=pytest.mark.long)])
def test_a_leader_that_goes_in_the_middle_costs_no_more_than_a_wait(version, what, redirect, vault_cluster, vault_engine,
                                                                    keys, tripwire, migrate):
    """The next leader is there after some seconds, well within the time that a key is given."""
    cluster = vault_cluster(redirect=redirect)
    source, target = vault_engine(2).put_all(keys.many(COUNT)), vault_engine(version, vault=cluster)
    wire = tripwire(source.vault.port)
    wire.at(b"GET /v1/" + source.data("").encode(), 100, cluster.step_down if what == "stepped down" else cluster.kill_leader)
    login = cluster.approle(target.policy(*rules(target, ALL)))
    way = target.config(login, endpoint=standby(cluster).endpoint)
    migrate("--from", source.config(endpoint=wire.endpoint), "--to", way, timeout=150).expect(0)
    assert wire.tripped and target.all() == source.all()
    if version == 2:
        for name in source.names():
            assert cluster.api("GET", target.metadata(name))["data"]["current_version"] == 1


@WAYS
def test_a_mount_reads_and_writes_on_with_the_next_leader(redirect, vault_cluster, vault_engine, keys, mount):
    cluster = vault_cluster(redirect=redirect)
    engine = vault_engine(2, vault=cluster).put_all(keys.many(3))
    m = mount(engine.config(endpoint=standby(cluster).endpoint))
    first, second = keys.a(), keys.a()
    (m / "before").write_bytes(first)
    dead = cluster.kill_leader()
    (m / "after").write_bytes(second)
    assert (m / "before").read_bytes() == first and (m / "after").read_bytes() == second
    dead.start()
    assert engine.value("before") == first and engine.value("after") == second
    assert sorted(os.listdir(m.path)) == engine.names()


def test_a_cluster_without_a_leader_is_waited_for_and_then_named(vault_cluster, vault_engine, source, migrate):
    """Two of three are gone: nobody may lead.  What is open is said, and the same command completes it."""
    cluster = vault_cluster()
    engine = vault_engine(2, vault=cluster)
    left = standby(cluster)
    gone = [node for node in cluster.nodes if node is not left]
    config = engine.config(endpoint=left.endpoint)
    for node in gone:
        node.kill()
    said = migrate("--timeout", "3", "--from", source.config, "--to", config).expect({1, 5, 7})
    assert "leader" in said.err, said
    for node in gone:
        node.start()
    cluster.leader()
    completes(migrate, source, engine)
