# SPDX-License-Identifier: Apache-2.0
"""An endpoint that is no key store is never taken for an empty one, nor for a store without that key."""
import http.server
import json
import threading

import pytest

LOOKUP = "/v1/auth/token/lookup-self"
TOKEN = json.dumps({"data": {"ttl": 0, "renewable": False, "policies": ["kes"], "type": "service"}}).encode()


class Page(http.server.BaseHTTPRequestHandler):
    """A web server's 404 for everything; the token is good if the server says so."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        good = self.server.token_good and self.path == LOOKUP
        body = TOKEN if good else b"<html><body>404 page not found</body></html>"
        self.send_response(200 if good else 404)
        self.send_header("Content-Type", "application/json" if good else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_LIST = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def page(tmp):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.token_good = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.config = tmp / "page.yml"
    server.config.write_text(f"keystore:\n  vault:\n    endpoint: http://127.0.0.1:{server.server_port}\n    token: t\n")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("token_good", [False, True])
def test_a_web_server_is_no_vault_without_keys(migrate, store, page, token_good):
    page.token_good = token_good
    target = store("target")
    for arguments in (["--list", "--from", page.config], ["--from", page.config, "--to", target.config, "my-key"],
                      ["--from", page.config, "--to", target.config]):
        result = migrate(*arguments)
        assert result.returncode not in (0, 3), result
        assert "check keystore.vault.endpoint" in result.err + result.out, result
        assert "no such key" not in result.err + result.out, result
    assert target.names() == []
