# SPDX-License-Identifier: Apache-2.0
"""What else may be found in a Vault, and configurations that do not fit it: each has a sentence of its own."""
import http.server
import json
import threading

import pytest

from tests.support import net

pytestmark = pytest.mark.peers


def test_entries_of_others_and_folders_are_left_out_and_counted(vault_engine, store, keys, migrate):
    engine, folder = vault_engine(2), store("folder")
    value = keys.a()
    engine.put("my-key", value)
    engine.vault.api("PUT", engine.data("website"), {"data": {"user": "admin", "password": "hunter2hunter2"}})
    engine.vault.api("PUT", engine.data("deeper/my-key"), {"data": {"my-key": "x"}})
    said = migrate("-v", "--from", engine.config(), "--to", folder.config).expect(0)
    assert folder.all() == {"my-key": value}
    assert "website" in said.out and "foreign" in said.err, said
    said = migrate("--from", engine.config(), "--to", folder.config, "website").expect(6)
    assert "not written by a KES server" in said.out + said.err


def test_a_deleted_entry_that_is_still_listed_is_an_outcome_of_its_own(vault_engine, store, keys, migrate):
    engine, folder = vault_engine(2), store("folder")
    made = keys.many(3)
    engine.put_all(made)
    engine.vault.api("DELETE", engine.data("key-00001"))
    said = migrate("-v", "--from", engine.config(), "--to", folder.config)
    assert "key-00001" in said.out + said.err and "deleted" in said.out + said.err, said
    assert folder.names() == ["key-00000", "key-00002"]
    # As a target the name is not free, and the sentence says how to free it.
    said = migrate("--from", store("source", made).config, "--to", engine.config(), "key-00001").expect({1, 5, 6})
    assert "not free" in said.out + said.err and "undelete" in said.out + said.err, said
    engine.vault.api("POST", f"{engine.path}/undelete/key-00001", {"versions": [1]})
    migrate("--from", engine.config(), "--to", folder.config).expect(0)
    assert folder.all() == made


def test_version_one_is_what_is_read_and_its_loss_is_told(vault_engine, store, keys, migrate):
    engine, folder = vault_engine(2), store("folder")
    first, second = keys.a(), keys.a()
    engine.put("my-key", first)
    engine.vault.api("PUT", engine.data("my-key"), {"data": {"my-key": second.decode()}})
    migrate("--from", engine.config(), "--to", folder.config).expect(0)
    assert folder.value("my-key") == first
    engine.vault.api("POST", engine.metadata("my-key"), {"max_versions": 1})
    engine.vault.api("PUT", engine.data("my-key"), {"data": {"my-key": second.decode()}})
    said = migrate("--from", engine.config(), "--to", store("other").config, "my-key").expect({3, 5, 6})
    assert "my-key" in said.out + said.err


def test_an_empty_or_new_folder_is_an_empty_store(vault_engine, store, keys, migrate):
    for version in (1, 2):
        engine = vault_engine(version, prefix="nothing/here")
        said = migrate("--list", "--from", engine.config())
        assert said.out == "" and "no key" in said.err, said
        made = keys.many(2)
        migrate("--from", store(f"source{version}", made).config, "--to", engine.config()).expect(0)
        assert engine.all() == made


def test_every_version_of_the_transit_key_is_read_and_version_one_is_written(vault_engine, store, keys, migrate):
    engine, folder = vault_engine(2, transit=True), store("folder")
    value, other = keys.a(), keys.a()
    engine.vault.api("POST", f"transit/keys/{engine.transit}/rotate")
    engine.put("new-version", value)
    assert engine.raw("new-version").startswith("vault:v2:")
    migrate("--from", engine.config(), "--to", folder.config).expect(0)
    assert folder.all() == {"new-version": value}
    migrate("--from", store("more", {"written": other}).config, "--to", engine.config()).expect(0)
    assert engine.raw("written").startswith("vault:v1:") and engine.value("written") == other
    engine.vault.api("POST", f"transit/keys/{engine.transit}/config", {"min_encryption_version": 2})
    said = migrate("--from", store("most", {"refused": keys.a()}).config, "--to", engine.config()).expect({1, 6})
    assert "no longer allows version 1" in said.out + said.err, said


def test_a_missing_transit_key_is_not_made_by_the_way(vault_engine, store, keys, migrate):
    engine = vault_engine(1, transit=True)
    engine.transit += "-misspelt"
    said = migrate("--from", store("source", keys.many(3)).config, "--to", engine.config()).expect({1, 6})
    assert "there is no transit key" in said.out + said.err, said
    assert engine.names() == []
    assert engine.vault.call("GET", f"transit/keys/{engine.transit}")[0] == 404


def test_a_wrapped_value_is_never_copied_as_if_it_were_a_key(vault_engine, store, keys, migrate):
    engine, folder = vault_engine(1, transit=True), store("folder")
    engine.put("my-key", keys.a())
    engine.transit = None
    said = migrate("--raw", "--from", engine.config(), "--to", folder.config).expect(6)
    assert "wrapped by Vault's transit engine" in said.out + said.err, said
    assert folder.names() == []


@pytest.mark.parametrize("there, said_to_be", [(1, 2), (2, 1)])
def test_the_wrong_version_of_the_engine_is_seen_before_anything_is_done(there, said_to_be, vault_engine, store, keys,
                                                                         migrate):
    engine = vault_engine(there)
    engine.version = said_to_be
    said = migrate("--from", store("source", keys.many(2)).config, "--to", engine.config()).expect(2)
    assert f"set keystore.vault.version to v{there}" in said.err, said
    engine.version = there
    assert engine.names() == []


def test_an_engine_that_is_not_there_or_none_for_keys_is_named(vault_engine, store, keys, migrate):
    engine = vault_engine(1, transit=True)
    source = store("source", keys.many(2))
    engine.path = "transit"
    assert "not a KV engine" in migrate("--from", source.config, "--to", engine.config()).expect(2).err
    engine.path = "nowhere"
    said = migrate("--from", source.config, "--to", engine.config()).expect({1, 2, 7})
    assert "there is no engine at nowhere/" in said.err, said


def test_the_same_store_by_two_addresses_is_refused(vault_engine, tripwire, keys, migrate):
    engine = vault_engine(2, prefix="kes")
    engine.put("my-key", keys.a())
    other = engine.config(endpoint=tripwire(engine.vault.port).endpoint)
    assert "the same" in migrate("--from", engine.config(), "--to", other).expect(2).err
    engine.prefix = "/kes//"
    assert "the same" in migrate("--force", "--from", other, "--to", engine.config()).expect(2).err


def test_environment_variables_that_kes_obeys_are_noticed_and_not_obeyed(vault_engine, keys, migrate):
    engine = vault_engine(1)
    engine.put("my-key", keys.a())
    said = migrate("--list", "--from", engine.config(), env={"VAULT_NAMESPACE": "elsewhere", "VAULT_SKIP_VERIFY": "1"})
    assert said.expect(0).lines == ["my-key"]
    lines = [line for line in said.err.splitlines() if "VAULT_" in line]
    assert len(lines) == 1 and "VAULT_NAMESPACE, VAULT_SKIP_VERIFY" in lines[0], said
    assert "VAULT_" not in migrate("--list", "--from", engine.config()).expect(0).err


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        status, kind, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_GET


@pytest.fixture
def answering():
    servers = []

    def make(status, kind, body):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        server.answer, server.daemon_threads = (status, kind, body), True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"
    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status, kind, body, status_of_ours, sentence", [
    (200, "text/html", b"<html><body>Please log in</body></html>", 1, "web page"),
    (200, "application/json", b'{"initialized":true,"sealed":', 1, "JSON"),
    (503, "application/json", b'{"errors":["Vault is sealed"]}', 7, "sealed"),
    (501, "application/json", b'{"errors":[]}', 7, "not initialised"),
    (472, "application/json", b"{}", 5, "disaster recovery"),
    (501, "text/html", b"<html><body>Not Implemented</body></html>", 1, "check keystore.vault.endpoint"),
])
def test_what_is_no_open_vault_is_said_in_a_sentence(status, kind, body, status_of_ours, sentence, answering, tmp, migrate):
    file = tmp / "strange.yml"
    file.write_text(f"keystore: {{ vault: {{ endpoint: '{answering(status, kind, body)}', token: some-token-of-ours }} }}\n")
    said = migrate("--list", "--from", file, timeout=100).expect(status_of_ours)
    assert sentence in said.err, said


def test_nobody_listening_is_said_and_a_passing_failure(tmp, migrate):
    file = tmp / "nobody.yml"
    file.write_text(f"keystore: {{ vault: {{ endpoint: 'http://127.0.0.1:{net.free_port()}', token: some-token-of-ours }} }}\n")
    said = migrate("--timeout", "5", "--list", "--from", file).expect(5)
    assert "127.0.0.1" in said.err and json.dumps(said.err), said
