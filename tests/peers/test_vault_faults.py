# SPDX-License-Identifier: Apache-2.0
"""Things that happen in the middle of a run: it finishes, or says exactly what is open, and the same command completes it."""
import json
import os
import re
import signal
import threading

import pytest

from tests.support.waiting import wait_until

pytestmark = pytest.mark.peers
COUNT = 150


@pytest.fixture
def source(store, keys):
    return store("source", keys.many(COUNT))


def put(engine):
    return b"PUT /v1/" + engine.data("").encode() + b"/"


def named_open(said):
    """The keys that the run says are not done."""
    return {match[1] for match in re.finditer(r"^\s*[!?*~] ([\w-]+)", said.out + said.err, re.MULTILINE)}


def nothing_unnamed(said, source, engine):
    """Every key that is not at the target with its value is named; what is there is right."""
    there = engine.all()
    for name, value in there.items():
        assert value == source.value(name), f"{name} is wrong"
    assert set(source.names()) - set(there) <= named_open(said), said


def completes(migrate, source, engine):
    migrate("--from", source.config, "--to", engine.config()).expect(0)
    assert engine.all() == source.all()


@pytest.mark.parametrize("version", [1, 2])
def test_sealed_in_the_middle(version, vault_own, vault_engine, source, tripwire, migrate):
    own = vault_own()
    engine = vault_engine(version, vault=own)
    wire = tripwire(own.port).at(put(engine), 40, own.seal)
    said = migrate("--timeout", "20", "--from", source.config, "--to", engine.config(endpoint=wire.endpoint)).expect({5, 7})
    assert wire.tripped and "sealed" in said.err, said
    own.unseal()
    nothing_unnamed(said, source, engine)
    completes(migrate, source, engine)


@pytest.mark.parametrize("version", [1, 2])
def test_killed_in_the_middle_and_started_again(version, vault_own, vault_engine, source, tripwire, migrate):
    own = vault_own()
    engine = vault_engine(version, vault=own)
    wire = tripwire(own.port).at(put(engine), 40, own.kill)
    said = migrate("--timeout", "4", "--from", source.config, "--to", engine.config(endpoint=wire.endpoint)).expect(5)
    assert wire.tripped
    own.start()
    nothing_unnamed(said, source, engine)
    completes(migrate, source, engine)


@pytest.mark.parametrize("version", [1, 2])
def test_lost_answers_are_settled_by_reading(version, vault_engine, source, tripwire, migrate):
    """Vault stored the key, and the connection closed instead of an answer: the run finds that out and ends well."""
    engine = vault_engine(version)
    wire = tripwire(engine.vault.port)
    for number in (10, 50, 51, 100):
        wire.at(put(engine), number, wire.lose_answer)
    migrate("--from", source.config, "--to", engine.config(endpoint=wire.endpoint)).expect(0)
    assert wire.tripped == 4 and engine.all() == source.all()
    if version == 2:
        for name in source.names():
            assert engine.vault.api("GET", engine.metadata(name))["data"]["current_version"] == 1


def test_reset_connections_are_no_more_than_a_delay(vault_engine, source, tripwire, migrate):
    engine = vault_engine(2, transit=True)
    wire = tripwire(engine.vault.port)
    for number in (5, 30, 60, 61, 62):
        wire.at(put(engine), number, wire.reset)
        wire.at(b"GET /v1/" + engine.data("").encode(), number, wire.reset)
        wire.at(b"POST /v1/transit", number, wire.reset)
    migrate("--from", source.config, "--to", engine.config(endpoint=wire.endpoint)).expect(0)
    assert wire.tripped >= 10 and engine.all() == source.all()


@pytest.mark.long
def test_silence_in_the_middle_ends_in_time_and_names_what_is_open(vault_engine, source, tripwire, migrate):
    engine = vault_engine(2)
    wire = tripwire(engine.vault.port)
    wire.at(put(engine), 60, wire.fall_silent)
    said = migrate("--timeout", "2", "-j", "128", "--from", source.config, "--to", engine.config(endpoint=wire.endpoint),
                   timeout=100).expect(5)
    nothing_unnamed(said, source, engine)
    wire.heal()
    completes(migrate, source, engine)


def test_a_rate_limit_quota_slows_the_run_and_fails_nothing(vault_own, vault_engine, source, migrate):
    own = vault_own()
    engine = vault_engine(2, vault=own)
    own.api("POST", "sys/quotas/rate-limit/slow", {"path": f"{engine.path}/", "rate": 100, "interval": "1s"})
    said = migrate("--from", source.config, "--to", engine.config()).expect(0)
    own.api("DELETE", "sys/quotas/rate-limit/slow")
    assert "throttle" in said.err, said
    assert engine.all() == source.all()


REPLACED = {"DELETE": b"DELETE /v1/", "PUT": b"PUT /v1/"}


@pytest.mark.parametrize("what", ["lose_answer", "reset"])
@pytest.mark.parametrize("method", REPLACED)
@pytest.mark.parametrize("version", [1, 2])
def test_a_replace_that_is_disturbed_leaves_one_of_the_two_values(version, method, what, vault_engine, store, keys,
                                                                   tripwire, migrate):
    engine = vault_engine(version)
    old, new = {f"key-{i}": keys.a() for i in range(12)}, {f"key-{i}": keys.a() for i in range(12)}
    engine.put_all(old)
    source = store("newer", new)
    wire = tripwire(engine.vault.port)
    for number in (1, 5, 9):
        wire.at(REPLACED[method], number, getattr(wire, what))
    config = engine.config(endpoint=wire.endpoint)
    said = migrate("--force", "--from", source.config, "--to", config).expect({0, 5, 6})
    assert wire.tripped or (version == 1 and method == "DELETE")
    there = engine.all()
    assert there.keys() == old.keys()
    for name, value in there.items():
        assert value in (old[name], new[name])
        assert value == new[name] or name in named_open(said), said
    migrate("--force", "--from", source.config, "--to", engine.config()).expect(0)
    assert engine.all() == new


def test_a_delete_whose_answer_is_lost_is_not_sent_again_onto_somebodys_newer_key(vault_engine, store, keys, tripwire,
                                                                                  migrate):
    engine = vault_engine(2)
    ours, theirs = keys.a(), keys.a()
    engine.put("my-key", keys.a())
    source = store("newer", {"my-key": ours})
    wire = tripwire(engine.vault.port)
    wire.at(b"DELETE /v1/", 1, wire.lose_answer)
    wire.at(b"GET /v1/" + engine.metadata("my-key").encode(), 2, lambda: engine.put("my-key", theirs))
    said = migrate("--force", "--from", source.config, "--to", engine.config(endpoint=wire.endpoint)).expect({1, 5, 6})
    assert wire.tripped == 2 and engine.value("my-key") == theirs
    assert "my-key" in said.out + said.err


def test_on_kv_v1_nothing_is_sent_again_before_a_look_has_found_the_name_free(vault_engine, store, keys, tripwire, migrate):
    """The create is lost on its way, and so are all tries to look what became of it; then somebody else was faster."""
    engine = vault_engine(1)
    theirs = keys.a()
    source = store("late", {"my-key": keys.a()})
    wire = tripwire(engine.vault.port)
    wire.at(put(engine) + b"my-key", 1, wire.reset)
    look = b"GET /v1/" + engine.data("my-key").encode()

    def overtaken():
        engine.put("my-key", theirs)
        wire.heal()
        return False
    for number in range(2, 5):
        wire.at(look, number, wire.reset)
    wire.at(look, 5, overtaken)
    said = migrate("--from", source.config, "--to", engine.config(endpoint=wire.endpoint)).expect({1, 5, 6})
    assert wire.tripped == 5 and engine.value("my-key") == theirs
    assert "my-key" in said.out + said.err


def test_of_two_runs_that_replace_one_key_on_kv_v2_only_the_one_whose_value_is_there_calls_it_verified(
        vault_engine, store, keys, tripwire, programs):
    """The delete of theirs, on its way since before, hits the value that ours has stored; ours sees it at its end."""
    engine, deleting, went = vault_engine(2), threading.Event(), threading.Event()
    engine.put_all({"k": keys.a(), "l": keys.a()})
    ours, theirs = store("ours", {"k": keys.a(), "l": keys.a()}), store("theirs", {"k": keys.a()})
    wire = tripwire(engine.vault.port).at(b"DELETE /v1/" + engine.metadata("k").encode(), 1,
                                          lambda: deleting.set() or went.wait())
    other = programs.start([programs.kesfs_migrate, "--force", "--from", theirs.config, "--to",
                            engine.config(endpoint=wire.endpoint), "k"])
    assert deleting.wait(60)

    def overtaken():
        assert engine.value("k") == ours.value("k")
        went.set()
        programs.finish(other).expect(0)
    mine = tripwire(engine.vault.port).at(put(engine) + b"l", 1, overtaken)
    try:
        said = programs.migrate("--force", "-j", "1", "--from", ours.config, "--to", engine.config(endpoint=mine.endpoint))
    finally:
        went.set()
    assert mine.tripped, "k comes before l"
    assert engine.all() == {"k": theirs.value("k"), "l": ours.value("l")}
    assert said.status == 6 and "* k: replaced and read back, but somebody changed it meanwhile" in said.out, said


def test_two_runs_that_replace_the_same_keys_on_kv_v2_at_once_leave_each_with_one_value_that_its_run_counts(
        vault_engine, store, keys, programs, tmp):
    engine, names = vault_engine(2), [f"key-{i}" for i in range(40)]
    engine.put_all({name: keys.a() for name in names})
    sources = [store(name, {key: keys.a() for key in names}) for name in ("one", "two")]
    runs = [programs.start([programs.kesfs_migrate, "--force", f"--json={tmp / source.path.name}.json", "--from", source.config,
                            "--to", engine.config()]) for source in sources]
    for run in runs:
        programs.finish(run).expect({0, 6})
    there = engine.all()
    assert there.keys() == set(names)
    said = [{o["name"]: o for o in map(json.loads, (tmp / f"{source.path.name}.json").read_text().splitlines())
             if o["type"] == "key"}
            for source in sources]
    for name in names:
        owner = [source.value(name) for source in sources].index(there[name])
        assert said[owner][name]["outcome"] == "replaced" and said[owner][name]["verified"], said[owner][name]


@pytest.mark.long
@pytest.mark.parametrize("ending", ["vault comes back", "interrupted"])
def test_a_replace_on_kv_v2_that_dies_with_vault_puts_the_key_back_or_says_so(ending, vault_own, vault_engine, store, keys,
                                                                              tripwire, programs):
    """Between delete and create Vault dies: the run does not give up until it is told to, and the backup has the key."""
    own = vault_own()
    engine = vault_engine(2, vault=own)
    old, new = keys.a(), keys.a()
    engine.put("my-key", old)
    source, backup = store("newer", {"my-key": new}), store("backup")
    wire = tripwire(own.port).at(put(engine) + b"my-key", 1, own.kill)
    process = programs.start([programs.kesfs_migrate, "--timeout", "4", "--force", "--backup-to", backup.config, "--from",
                              source.config, "--to", engine.config(endpoint=wire.endpoint)])
    said = next(entry[2] for entry in programs.started if entry[0] is process)
    wait_until(lambda: b"put it back" in os.pread(said.fileno(), 1 << 20, 0), "the run to know that it is in trouble", 60)
    assert wire.tripped and backup.value("my-key") == old
    if ending == "interrupted":
        process.send_signal(signal.SIGINT)
        result = programs.finish(process)
        assert result.status == 8 and "my-key" in result.out + result.err, result
        own.start()
    else:
        own.start()
        result = programs.finish(process, 100)
        assert result.status in (0, 5, 6) and engine.value("my-key") in (old, new), result
    programs.migrate("--force", "--from", source.config, "--to", engine.config()).expect(0)
    assert engine.value("my-key") == new


def test_a_mount_stays_responsive_while_vault_is_away(vault_own, vault_engine, keys, mount, tripwire, programs):
    own = vault_own()
    engine = vault_engine(2, vault=own)
    engine.put_all(keys.many(20))
    m = mount(engine.config(), "-o", "timeout=3,ttl=1")
    assert len(os.listdir(m.path)) == 20
    own.kill()
    said = programs.run("cat", m / "key-00003")
    assert said.status == 1 and re.search("Input/output error|timed out", said.err), said
    assert len(os.listdir(m.path)) == 20, "the old names stay"
    assert m.status()["reachable"] is False
    own.start()
    wait_until(lambda: (m / "key-00003").read_bytes() == engine.value("key-00003"), "the mount to read again")


def test_writes_to_a_mount_fail_at_close_while_vault_is_away_and_lose_nothing(vault_own, vault_engine, keys, mount,
                                                                             tripwire):
    own = vault_own()
    engine = vault_engine(2, vault=own)
    first, second = keys.a(), keys.a()
    wire = tripwire(own.port)
    m = mount(engine.config(endpoint=wire.endpoint), "-o", "timeout=5")
    wire.at(put(engine) + b"settled", 1, wire.lose_answer)
    (m / "settled").write_bytes(first)
    assert engine.value("settled") == first
    own.kill()
    with pytest.raises(OSError):
        (m / "refused").write_bytes(second)
    own.start()
    assert engine.names() == ["settled"]
    (m / "refused").write_bytes(second)
    assert engine.value("refused") == second
