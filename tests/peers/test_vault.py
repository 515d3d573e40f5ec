# SPDX-License-Identifier: Apache-2.0
"""A real Vault with real KES servers as judges: what KES wrote we read, what we wrote KES decrypts with."""
import concurrent.futures
import json
import threading

import pytest

from tests.support import values

pytestmark = pytest.mark.peers
TEXT = "eight words that only the right key opens"

READ = (("folder", "list"), ("data", "read"), ("decrypt", "update"))
WRITE_V2 = (("folder", "list"), ("data", "create read"), ("encrypt", "update"), ("decrypt", "update"))
# What a KES server itself needs, and the tool for migrating and replacing.
ALL = (("folder", "list"), ("data", "create read update delete"), ("metadata", "read list delete"),
       ("encrypt", "update"), ("decrypt", "update"))


def rules(engine, wanted):
    return [rule for rule in wanted if engine.transit or rule[0] not in ("encrypt", "decrypt")]


def approle(engine, wanted=ALL):
    return engine.vault.approle(engine.policy(*rules(engine, wanted)))


ROUTES = {
    "v1 to v2 with transit and prefix": ({"version": 1}, {"version": 2, "transit": True, "prefix": "kes/main"}),
    "v2 with transit to v1 with prefix": ({"version": 2, "transit": True}, {"version": 1, "prefix": "kes"}),
    "v1 with transit and prefix to v2": ({"version": 1, "transit": True, "prefix": "a"}, {"version": 2}),
    "v2 with prefix to v1 with transit": ({"version": 2, "prefix": "kes"}, {"version": 1, "transit": True}),
}


@pytest.mark.parametrize("route", ROUTES)
def test_another_kes_decrypts_with_what_was_migrated(route, vault_engine, kes, migrate, keys):
    source, target = (vault_engine(**how) for how in ROUTES[route])
    source.put("older", values.form_b(keys.raw()))
    login = approle(source)
    server = kes(keystore=source.keystore(login))
    server.create("newer")
    sealed = {name: server.encrypt(name, TEXT) for name in ("newer", "older")}
    server.stop()
    target_login = approle(target)
    migrate("--from", source.config(login), "--to", target.config(target_login)).expect(0)
    assert target.all() == source.all()
    judge = kes(keystore=target.keystore(target_login))
    assert {name: judge.decrypt(name, text) for name, text in sealed.items()} == dict.fromkeys(sealed, TEXT)
    assert judge.list() == ["newer", "older"]


def test_over_tls_with_an_own_ca_to_a_directory_and_back(vault_own, vault_engine, certificates, store, kes, migrate):
    own = vault_own(tls=certificates)
    engine, folder = vault_engine(2, vault=own), store("folder")
    login = approle(engine)
    server = kes(keystore=engine.keystore(login))
    server.create("my-key")
    sealed = server.encrypt("my-key", TEXT)
    migrate("--from", engine.config(login), "--to", folder.config).expect(0)
    assert folder.value("my-key") == engine.value("my-key")
    assert kes(folder.path).decrypt("my-key", sealed) == TEXT
    engine.remove("my-key")
    migrate("--from", folder.config, "--to", engine.config(login)).expect(0)
    assert server.restart().decrypt("my-key", sealed) == TEXT
    untrusted = engine.config(login)
    untrusted.write_text(untrusted.read_text().replace(f"tls: {{ ca: {certificates.ca} }}", ""))
    assert "certificate" in migrate("--list", "--from", untrusted).expect({1, 5}).err


@pytest.mark.parametrize("version", [1, 2])
def test_two_thousand_keys_arrive_and_are_verified(version, vault_engine, store, keys, migrate):
    """More than a page of KES, and both formats."""
    made = keys.many(2000)
    source, back = store("source", made), store("back")
    engine = vault_engine(version)
    said = migrate("--from", source.config, "--to", engine.config()).expect(0)
    assert "2,000  verified" in said.err
    assert len(engine.names()) == 2000
    migrate("--from", engine.config(), "--to", back.config).expect(0)
    assert back.all() == made
    again = migrate("--from", source.config, "--to", engine.config()).expect(0)
    assert "identical          2,000" in again.err


@pytest.mark.long
@pytest.mark.limit(600)
def test_twenty_thousand_keys_go_from_vault_to_vault_complete(vault_engine, store, keys, migrate):
    made = keys.many(20000)
    source, back = store("source", made), store("back")
    one, two = vault_engine(1), vault_engine(2)
    migrate("--from", source.config, "--to", one.config(), timeout=300).expect(0)
    migrate("--from", one.config(), "--to", two.config(), timeout=300).expect(0)
    assert len(two.names()) == 20000
    migrate("--from", two.config(), "--to", back.config, timeout=300).expect(0)
    assert back.all() == made


def test_between_mounts_by_cp_rsync_and_the_helper(vault_engine, store, keys, mount, programs):
    made = keys.many(30)
    one, two, three = vault_engine(1), vault_engine(2), vault_engine(2, transit=True, prefix="p")
    one.put_all(made)
    a = mount(one.config(), "-o", "ro")
    b, c = mount(two.config()), mount(three.config())
    folder = store("folder")
    programs.run("cp", *(a / name for name in made), b.path).expect(0)
    programs.run("rsync", "-rt", "--whole-file", f"{a.path}/", f"{c.path}/").expect(0)
    programs.migrate("--from", c, "--to", folder).expect(0)
    assert two.all() == three.all() == folder.all() == made


def test_a_mount_says_why_and_where_it_stands(vault_own, vault_engine, keys, mount, wait_until):
    own = vault_own()
    engine = vault_engine(2, vault=own)
    engine.put("my-key", keys.a())
    m = mount(engine.config(), "-o", "ro,ttl=1")
    assert (m / "my-key").read_bytes() == engine.value("my-key")
    assert m.status()["sealed"] is False
    own.seal()
    with pytest.raises(OSError) as failure:
        (m / "my-key").read_bytes()
    assert failure.value.errno == 5
    assert "sealed" in m.log
    wait_until(lambda: m.status()["sealed"], "the mount to know that Vault is sealed")
    own.unseal()
    assert (m / "my-key").read_bytes() == engine.value("my-key")


@pytest.mark.parametrize("version", [1, 2])
def test_of_two_runs_at_once_each_key_is_created_by_one(version, vault_engine, store, keys, migrate):
    """KV v1 has no create-if-absent: there the values are the same, as they are when one run is started twice."""
    made = keys.many(150)
    source, engine = store("source", made), vault_engine(version)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(migrate, "--merge", "--from", source.config, "--to", engine.config()) for _ in range(2)]
        for run in runs:
            run.result().expect(0)
    assert engine.all() == made


def test_two_runs_with_other_values_never_replace_each_other_on_kv_v2(vault_engine, store, keys, migrate):
    names = [f"key-{i}" for i in range(60)]
    sides = [store(side, {name: keys.a() for name in names}) for side in ("one", "two")]
    engine = vault_engine(2)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(migrate, "--merge", "--from", side.config, "--to", engine.config()) for side in sides]
        for run in runs:
            run.result().expect({0, 6})
    for name in names:
        assert engine.value(name) in {side.value(name) for side in sides}
        meta = engine.vault.api("GET", engine.metadata(name))["data"]
        assert list(meta["versions"]) == ["1"], "a key was written twice"


@pytest.mark.parametrize("how, source_each, target_each", [({"version": 2}, 1, 2), ({"version": 1}, 1, 3),
                                                           ({"version": 2, "transit": True}, 2, 4)],
                         ids=["v2", "v1", "v2 with transit"])
def test_a_key_costs_no_more_requests_than_it_must(how, source_each, target_each, vault_engine, keys, migrate):
    source, target = vault_engine(**how).put_all(keys.many(100)), vault_engine(**how)
    done = migrate("--json", "--from", source.config(approle(source)), "--to", target.config(approle(target))).expect(0)
    summary = json.loads(done.lines[-1])
    # A new KV v2 engine says "upgrading" for a moment: what is asked again then is nobody's cost.
    source_asked, target_asked = (summary[side]["requests"] - summary[side]["retries"]
                                  for side in ("source_counts", "target_counts"))
    assert 0 <= source_asked - 100 * source_each <= 8 and 0 <= target_asked - 100 * target_each <= 8, done


def test_two_round_trips_after_the_start_the_copy_begins(vault_engine, tripwire, keys, migrate):
    """Nothing is answered before all that can be asked has been asked: a question that waits for another one's answer
    would wait for ever."""
    source, target = vault_engine(2).put_all(keys.many(3)), vault_engine(2)
    wire = tripwire(source.vault.port)
    rounds = (b"GET /v1/sys/health", b"POST /v1/auth/approle/login"), \
             (b"GET /v1/sys/internal/ui/mounts/", b"POST /v1/sys/capabilities-self", b"GET /v1/%b/metadata/?list", )
    met = []
    for begins in rounds:
        met.append(threading.Barrier(2 * len(begins), timeout=30))
        for begin in begins:
            for number, engine in enumerate((source, target)):
                named = b"%b" in begin
                wire.at(begin % engine.path.encode() if named else begin, 1 if named else number + 1, met[-1].wait)
    migrate("--from", source.config(approle(source), endpoint=wire.endpoint),
            "--to", target.config(approle(target), endpoint=wire.endpoint)).expect(0)
    assert not any(barrier.broken for barrier in met) and wire.tripped == 10, wire.seen
    assert target.all() == source.all()
