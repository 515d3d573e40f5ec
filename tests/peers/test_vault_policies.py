# SPDX-License-Identifier: Apache-2.0
"""The policies that kesfs.yml(5) calls minimal are enough, and what is missing of one is named."""
import re

import pytest

from tests.support.programs import TOP

pytestmark = pytest.mark.peers


def manual_policy(engine, heading):
    """The rules that the manual prints under that heading, for this engine: what it says is what is tested."""
    page = (TOP / "docs/man/kesfs.yml.5").read_text().replace("\\-", "-")
    wanted = f".It KV v{engine.version}, {heading}\n.Bd -literal -compact\n"
    assert wanted in page, f"the manual has no policy '{wanted}'"
    return page.split(wanted)[1].split("\n.Ed")[0].replace("kv/", f"{engine.path}/")


def token(engine, heading):
    return f"token: {engine.vault.token(engine.vault.policy(manual_policy(engine, heading)))}"


@pytest.fixture(params=[1, 2])
def engine(request, vault_engine):
    return vault_engine(request.param, prefix="kes")


def test_the_policy_for_reading_is_enough_for_it_and_for_no_more(engine, store, keys, migrate):
    made = keys.many(5)
    folder, other = store("folder"), store("other", {"new": keys.a()})
    engine.put_all(made)
    reading = engine.config(token(engine, "reading"))
    migrate("--from", reading, "--to", folder.config).expect(0)
    assert folder.all() == made
    said = migrate("--from", other.config, "--to", reading).expect(7)
    assert f"needs 'create' on {engine.data('')}" in said.err + said.out
    assert engine.all() == made


def test_the_policy_for_migrating_to_creates_and_replaces_nothing(engine, store, keys, migrate):
    made = keys.many(5)
    source, other = store("source", made), store("other", {"key-00000": keys.a()})
    creating = engine.config(token(engine, "migrating to it"))
    migrate("--from", source.config, "--to", creating).expect(0)
    assert engine.all() == made
    said = migrate("--force", "--from", other.config, "--to", creating).expect({6, 7})
    needed = "'update'" if engine.version == 1 else "'delete'"
    assert needed in said.out + said.err, said
    assert engine.all() == made


def test_the_policy_for_force_replaces(engine, store, keys, migrate):
    engine.put_all(keys.many(5))
    made = keys.many(5)
    source = store("source", made)
    migrate("--force", "--from", source.config, "--to", engine.config(token(engine, "--force"))).expect(0)
    assert engine.all() == made


def test_what_may_not_be_listed_can_still_be_named(engine, keys, store, migrate):
    engine.put_all(keys.many(3))
    folder = store("folder")
    config = engine.config(f"token: {engine.vault.token(engine.policy(('data', 'read')))}")
    said = migrate("--from", config, "--to", folder.config).expect(7)
    assert f"needs 'list' on {engine.metadata()}" in said.err, said
    migrate("--from", config, "--to", folder.config, "key-00001", "key-00002").expect(0)
    assert folder.names() == ["key-00001", "key-00002"]


def test_one_forbidden_key_among_many_is_named_and_the_others_arrive(engine, keys, store, migrate):
    made = keys.many(300)
    engine.put_all(made)
    folder = store("folder")
    policy = engine.policy(("folder", "list"), ("data", "read"))
    denied = engine.vault.policy(f'path "{engine.data("key-00123")}" {{ capabilities = ["deny"] }}')
    config = engine.config(f"token: {engine.vault.token(policy, denied)}")
    said = migrate("--from", config, "--to", folder.config).expect(1)
    assert f"needs 'read' on {engine.data('key-00123')}" in said.out + said.err, said
    del made["key-00123"]
    assert folder.all() == made


def test_a_policy_without_delete_or_create_keeps_the_old_key_on_force(vault_engine, keys, store, migrate):
    """KV v2 must delete before it creates: what could not be created again is not deleted."""
    engine = vault_engine(2)
    old = keys.a()
    engine.put("my-key", old)
    source = store("source", {"my-key": keys.a()})
    for rules in ([("data", "read"), ("metadata", "read list delete")],
                  [("data", "read create"), ("metadata", "read list")]):
        config = engine.config(f"token: {engine.vault.token(engine.policy(('folder', 'list'), *rules))}")
        said = migrate("--force", "--from", source.config, "--to", config).expect({6, 7})
        assert re.search("needs '(create|delete)' on", said.out + said.err), said
        assert engine.value("my-key") == old


def test_on_kv_v1_a_policy_without_update_closes_the_gap(vault_engine, keys, store, migrate, tripwire):
    """KV v1 has no condition: we look, then write.  Somebody writes in between; the policy refuses to overwrite him."""
    engine = vault_engine(1)
    theirs, ours = keys.a(), keys.a()
    source = store("source", {"my-key": ours})
    wire = tripwire(engine.vault.port).at(b"PUT /v1/" + engine.path.encode(), 1, lambda: engine.put("my-key", theirs))
    policy = engine.policy(("folder", "list"), ("data", "read create"))
    config = engine.config(f"token: {engine.vault.token(policy)}", endpoint=wire.endpoint)
    migrate("--from", source.config, "--to", config).expect(6)
    assert wire.tripped and engine.value("my-key") == theirs


def test_the_probe_says_what_the_login_may_do(engine, programs, keys):
    engine.put("my-key", keys.a())
    config = engine.config(f"token: {engine.vault.token(engine.policy(('folder', 'list'), ('data', 'read')), no_default_policy=False)}")
    said = programs.run(programs.kesfs, "--probe", config).expect(0)
    assert re.search(r"\+ list +1 key\b", said.out) and re.search(r"\+ read ", said.out), said
    assert re.search(rf"\? create +for single names at most: for all the policy needs 'create' on {re.escape(engine.data('*'))}", said.out), said
    assert "+ replace" not in said.out, said


def test_the_probe_says_that_it_may_not_ask_what_a_lean_login_may_do(engine, programs, keys):
    engine.put("my-key", keys.a())
    config = engine.config(f"token: {engine.vault.token(engine.policy(('folder', 'list'), ('data', 'read')))}")
    said = programs.run(programs.kesfs, "--probe", config).expect(0)
    assert re.search(r"\? rights +of this login cannot be told without trying: .*'update' on sys/capabilities-self", said.out), said
    assert not re.search(r"[+-] (read|create|replace)", said.out), said


def test_a_login_without_any_right_is_refused_at_once(engine, store, migrate, keys):
    config = engine.config(f"token: {engine.vault.token('default', no_default_policy=False)}")
    folder = store("folder", {"my-key": keys.a()})
    said = migrate("--from", folder.config, "--to", config).expect(7)
    assert "no rights at all" in said.err, said
