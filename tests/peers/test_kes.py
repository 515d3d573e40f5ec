# SPDX-License-Identifier: Apache-2.0
"""KES v0.24.0 as judge: what it wrote we read, what we wrote it loads and decrypts with."""
import shutil

import pytest

from tests.support import values

pytestmark = pytest.mark.peers
TEXT = "eight words that only the right key opens"


@pytest.fixture
def written(kes, store, keys):
    """A source store that a KES server made and encrypted with: (store, {name: ciphertext}).  One key in each format:
    the older one is planted, since no KES writes it any more."""
    source = store("source", {"older": values.form_b(keys.raw())})
    server = kes(source.path)
    server.create("newer")
    sealed = {name: server.encrypt(name, TEXT) for name in ("newer", "older")}
    server.stop()
    return source, sealed


def config_for(kes, store):
    """A configuration that `kes migrate` takes, too."""
    return kes.config(store.path.name + "-kes", f"keystore:\n  fs:\n    path: {store.path}\n")


def opens(server, sealed):
    return {name: server.decrypt(name, text) for name, text in sealed.items()} == dict.fromkeys(sealed, TEXT)


def test_another_server_decrypts_with_keys_that_the_helper_migrated(written, store, kes, migrate):
    source, sealed = written
    target = store("target")
    migrate("--from", source.config, "--to", target.config).expect(0)
    assert target.all() == source.all()
    assert opens(kes(target.path), sealed)


def test_another_server_decrypts_with_keys_that_cp_copied_between_two_mounts(written, store, kes, mount, programs):
    source, sealed = written
    target = store("target")
    a, b = mount(source.config, "-o", "ro"), mount(target.config)
    programs.run("cp", a / "newer", a / "older", b.path).expect(0)
    assert target.all() == source.all()
    assert opens(kes(target.path), sealed)


def test_the_helper_migrates_between_two_mounts_what_another_server_decrypts(written, store, kes, mount, migrate):
    source, sealed = written
    target = store("target")
    a, b = mount(source.config, "-o", "ro"), mount(target.config)
    migrate("--from", a, "--to", b).expect(0)
    assert opens(kes(target.path), sealed)


def test_a_server_lives_on_a_mount(store, kes, mount):
    keys = store("keys")
    m = mount(keys.config, "-o", "delete")
    server = kes(m.path)
    for name in ("one", "two", "three"):
        server.create(name)
    assert server.list() == sorted(["one", "two", "three"])
    assert keys.names() == sorted(["one", "two", "three"])
    again = server.create("one", check=False)
    assert again.returncode != 0, "a key that exists was made again"
    sealed = server.encrypt("one", TEXT)
    server.remove("two")
    assert keys.names() == ["one", "three"]
    server.restart()
    assert server.decrypt("one", sealed) == TEXT
    assert server.list() == ["one", "three"]


def test_a_server_on_a_mount_sees_within_ttl_what_another_daemon_created(store, kes, mount, keys, wait_until):
    shared = store("keys", {"mine": keys.a()})
    first, second = mount(shared.config, "-o", "ttl=1"), mount(shared.config)
    server = kes(first.path)
    assert server.list() == ["mine"]
    shutil.copyfile(second / "mine", second / "theirs")
    wait_until(lambda: "theirs" in server.list(), "the key that the other daemon created")
    assert server.encrypt("theirs", TEXT)


def test_three_thousand_keys_arrive_where_kes_migrate_stops_at_1025(store, kes, keys, migrate):
    source = store("source", keys.many(3000))
    theirs, ours = store("theirs"), store("ours")
    files = [config_for(kes, s) for s in (source, theirs, ours)]
    said = kes.migrate(files[0], files[1]).expect(0)
    assert "1025" in said.out + said.err and len(theirs.names()) == 1025, "KES has changed: tell the guide"
    migrate("--from", files[0], "--to", files[2]).expect(0)
    assert ours.all() == source.all()


def test_what_the_readme_says_of_kes_migrate_is_true(store, kes, keys, migrate):
    source = store("source", keys.many(6))
    theirs, ours = [store(name, {"key-00003": keys.a()}) for name in ("theirs", "ours")]
    files = [config_for(kes, s) for s in (source, theirs, ours)]
    assert "already exists" in kes.migrate(files[0], files[1]).expect(1).err
    assert len(theirs.names()) > 1, "it stops before it writes: tell the README"
    migrate("--from", files[0], "--to", files[2]).expect(6)
    assert ours.names() == ["key-00003"]
    assert "succeeded" in kes.migrate(files[0], files[1], "[a").expect(0).out
    migrate("--from", files[0], "--to", files[2], "[a").expect(2)
