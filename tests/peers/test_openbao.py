# SPDX-License-Identifier: Apache-2.0
"""OpenBao's listing page by page, against a small server of ours that pages as OpenBao does (after, limit, and a policy's
pagination_limit): OpenBao itself comes from no package registry."""
import bisect
import http.server
import json
import threading
import urllib.parse

import pytest

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
