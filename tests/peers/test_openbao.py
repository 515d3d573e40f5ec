# SPDX-License-Identifier: Apache-2.0
"""OpenBao's listing page by page, against a small server of ours that pages as OpenBao does (after, limit, and a policy's
pagination_limit), and against OpenBao itself where there is one: it comes from no package registry."""
import bisect
import http.server
import json
import os
import threading
import urllib.parse

import pytest

from tests.support import vault as vault_

PREFIX = "/v1/kv/metadata/"


class Bao(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def say(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/v1/sys/health":
            return self.say(200, {"initialized": True, "sealed": False, "version": "2.2.0"})
        if url.path == "/v1/auth/token/lookup-self":
            return self.say(200, {"data": {"ttl": 0, "renewable": False}})
        if url.path == PREFIX and "list" in query:
            return self.list(query)
        if url.path.startswith("/v1/kv/data/"):
            name = url.path.rsplit("/", 1)[1]
            if name in self.server.keys:
                return self.say(200, {"data": {"data": {name: self.server.value}, "metadata": {"version": 1}}})
        return self.say(404, {"errors": []})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return self.say(403, {"errors": ["permission denied"]})

    def list(self, query):
        bao = self.server
        limit = int(query.get("limit", 0))
        bao.asked.append((query.get("after"), limit))
        if bao.pagination_limit and not 0 < limit <= bao.pagination_limit:
            return self.say(403, {"errors": ["permission denied"]})
        begin = bisect.bisect_right(bao.keys, query["after"]) if bao.pages and query.get("after") else 0
        page = bao.keys[begin:begin + limit] if bao.pages and limit else bao.keys[begin:]
        return self.say(200, {"data": {"keys": page}}) if page else self.say(404, {"errors": []})


@pytest.fixture
def bao(tmp, keys):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bao)
    server.daemon_threads = True
    server.pages, server.pagination_limit, server.asked = True, 0, []
    server.value = keys.a().decode()
    server.config = tmp / "bao.yml"
    server.config.write_text(f"keystore:\n  vault:\n    endpoint: http://127.0.0.1:{server.server_address[1]}\n"
                             f"    version: v2\n    token: a-token-of-openbao\n")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def listed(migrate, bao):
    """--list reads no value, and prints the names."""
    return migrate("--list", "--from", bao.config).expect(0).lines


@pytest.mark.parametrize("count", [1, 9999, 10000, 10001, 20000, 25003])
def test_every_key_is_listed_page_by_page(count, bao, migrate):
    bao.keys = sorted(f"key-{i:06d}" for i in range(count))
    assert listed(migrate, bao) == bao.keys
    assert len(bao.asked) == count // 10000 + 1
    assert [after for after, _ in bao.asked[1:]] == [bao.keys[i * 10000 - 1] for i in range(1, len(bao.asked))]


@pytest.mark.parametrize("count", [10000, 10001, 30000])
def test_a_server_that_does_not_page_is_not_asked_for_ever(count, bao, migrate):
    """Vault ignores both parameters: with exactly a page full of names that shows only in the second answer."""
    bao.keys, bao.pages = sorted(f"key-{i:06d}" for i in range(count)), False
    assert listed(migrate, bao) == bao.keys
    assert len(bao.asked) <= 2


@pytest.mark.parametrize("allowed", [1000, 100])
def test_a_policy_that_limits_the_page_gets_smaller_ones(allowed, bao, migrate):
    bao.keys, bao.pagination_limit = sorted(f"key-{i:06d}" for i in range(1550)), allowed
    assert listed(migrate, bao) == bao.keys


def test_folders_between_the_keys_are_no_keys_and_no_end(bao, migrate):
    bao.keys = sorted([f"key-{i:06d}" for i in range(12000)] + [f"key-{i:06d}/" for i in range(0, 12000, 3)])
    assert listed(migrate, bao) == [name for name in bao.keys if not name.endswith("/")]


# ---- the real one ----

real = pytest.mark.skipif(not os.environ.get("KESFS_TEST_BAO"), reason="KESFS_TEST_BAO names no OpenBao (docs/testing.md)")


@real
@pytest.mark.peers
@pytest.mark.long
@pytest.mark.limit(1200)
def test_openbao_itself_lists_20000_keys_in_pages(vault_engine, keys, tripwire, store, migrate):
    engine = vault_engine(2)
    source = store("source", keys.many(20000))
    migrate("-q", "--from", source.config, "--to", engine.config(), timeout=1100).expect(0)
    wire = tripwire(engine.vault.port)
    assert migrate("--list", "--from", engine.config(endpoint=wire.endpoint)).expect(0).lines == source.names()
    pages = [line for line in wire.seen if b"list=true" in line]
    assert 2 <= len(pages) <= 3 and b"after=key-09999" in pages[1], pages


@real
@pytest.mark.peers
@pytest.mark.parametrize("login", ["in the same namespace", "in the root"])
@pytest.mark.parametrize("version", [1, 2])
def test_openbao_itself_keeps_the_keys_of_a_namespace_apart(version, login, vault, tmp, store, keys, migrate):
    vault.once("namespaces", "", "team")
    inside = Inside(vault, "team")
    engine = vault_.Engine(inside, tmp, version)
    source = store("source", keys.many(30))
    where, line = (inside, "") if login == "in the same namespace" else (vault, ", namespace: /")
    rules = [("data", "create read update delete"), ("metadata", "read list delete"), ("folder", "list")]
    policy = engine.policy(*rules)
    if where is vault:
        # A policy of the root names what is inside by its namespace.
        text = inside.api("GET", f"sys/policies/acl/{policy}")["data"]["policy"]
        policy = vault.policy(text.replace('path "kv', 'path "team/kv'))
    role = where.approle(policy)
    role.text = role.text.replace(" }", f"{line} }}")
    config = engine.config(role, more="namespace: team")
    migrate("--from", source.config, "--to", config).expect(0)
    assert engine.all() == source.all()
    migrate("--check", "--from", source.config, "--to", config).expect(0)
    # Without the namespace there is no such login, or no such engine.
    said = migrate("--list", "--from", engine.config(role)).expect({1, 2, 3, 7}).err
    assert "login" in said if where is inside else "no engine" in said, said


class Inside(vault_.Api):
    """A namespace of a server, seen from inside."""

    def __init__(self, server, namespace):
        self.server, self.namespace = server, namespace
        self.tls, self.root, self.endpoint = server.tls, server.root, server.endpoint

    def call(self, method, path, body=None, token=vault_.ROOT):
        return self.server.call(method, f"{self.namespace}/{path}", body, token)
