# SPDX-License-Identifier: Apache-2.0
"""Servers that stand for the rare moments of a cluster: a performance standby that has not heard of a token or a write yet,
redirections good and bad.  Small ones of ours, since the real thing does not do it when it is asked to."""
import collections
import http.server
import json
import ssl
import threading

import pytest

from tests.support import vault as vault_

TOKEN = "hvs.the-first-token-of-the-test"


class Server(http.server.BaseHTTPRequestHandler):
    """A Vault with one KV v2 engine, which says() something else first where the test wants that."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def say(self, status, body=None, **headers):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def handle_any(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].removeprefix("/v1/")
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        with server.lock:
            server.seen[f"{self.command} {path}"] += 1
            server.tokens.add(token)
            if path == "sys/health":
                return self.say(server.health, {"initialized": True, "sealed": False, "cluster_id": "a-cluster"})
            if token in server.unknown:
                # Each question whether the token is good brings the moment nearer at which this server hears of it.
                server.unknown[token] -= path.startswith("auth/token/")
                if server.unknown[token] < 0:
                    del server.unknown[token]
                else:
                    return denied(self)
            for rule in server.rules:
                if (self.command, path.startswith(rule[1]), token in rule[2]) == (rule[0], True, True) and rule[3] > 0:
                    rule[3] -= 1
                    return rule[4](self)
            return self.serve(path, body)

    do_GET = do_PUT = do_POST = do_DELETE = handle_any

    def serve(self, path, body):
        keys = self.server.keys
        if path == "auth/approle/login":
            self.server.logins += 1
            token = TOKEN if self.server.logins == 1 else f"{TOKEN}-{self.server.logins}"
            return self.say(200, {"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}})
        if path.startswith("auth/token/"):
            return self.say(200, {"data": {"ttl": 0}, "auth": {"client_token": TOKEN, "lease_duration": 3600}})
        if path == "sys/capabilities-self":
            return self.say(200, {"data": {path: ["root"] for path in json.loads(body)["paths"]}})
        if path.startswith("sys/internal/ui/mounts/"):
            return self.say(200, {"data": {"type": "kv", "options": {"version": "2"}}})
        if path == "kv/metadata/":
            return self.say(200, {"data": {"keys": sorted(keys)}}) if keys else self.say(404, {"errors": []})
        name = path.removeprefix("kv/data/")
        if not path.startswith("kv/data/"):
            return self.say(404, {"errors": ["no handler for route"]})
        if self.command == "PUT":
            if name in keys:
                return self.say(400, {"errors": ["check-and-set parameter did not match the current version"]})
            keys[name] = json.loads(body)["data"][name]
            return self.say(200, {"data": {"version": 1}})
        if name not in keys:
            return self.say(404, {"errors": []})
        return self.say(200, {"data": {"data": {name: keys[name]}, "metadata": {"version": 1}}})


def denied(handler):
    handler.say(403, {"errors": ["permission denied"]})


def behind(handler):
    handler.say(412, {"errors": ["required index state not present"]})


def leaderless(handler):
    handler.say(503, {"errors": ["no active Vault instance found"]})


def sent_to(where, status=307):
    def answer(handler):
        handler.say(status, None, Location=(where() if callable(where) else where) + handler.path)
    return answer


class Anything:
    def __contains__(self, token):
        return True


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256


class Scripted:
    def __init__(self, place, tls=None, keys=None):
        self.server = Listener(("127.0.0.1", 0), Server)
        self.server.lock, self.server.health = threading.RLock(), 200
        self.server.seen, self.server.tokens, self.server.rules = collections.Counter(), set(), []
        self.server.unknown = {}
        self.server.keys, self.server.logins = {} if keys is None else keys, 0
        self.tls, self.place, scheme = tls, place, "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        self.endpoint = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def at(self, method, path, times, answer, tokens=Anything()):
        """The next so many requests that begin so, with one of these tokens, get this answer."""
        self.server.rules.append([method, path, tokens, times, answer])
        return self

    def config(self, login="approle: { id: some-id, secret: some-secret-id }"):
        file = self.place / f"scripted-{self.server.server_address[1]}.yml"
        tls = f"\n    tls: {{ ca: {self.tls.ca} }}" if self.tls else ""
        file.write_text(f"keystore:\n  vault:\n    endpoint: {self.endpoint}\n    version: v2\n    {login}{tls}\n")
        return file

    def asked(self, what):
        return sum(count for line, count in self.server.seen.items() if line.startswith(what))

    def end(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def scripted(tmp, planted):
    made = []
    planted.plant(TOKEN, "some-secret-id")

    def make(**how):
        made.append(Scripted(tmp, **how))
        return made[-1]
    yield make
    for server in made:
        server.end()


@pytest.fixture
def source(store, keys):
    return store("source", keys.many(60))


def values(server):
    return {name: text.encode() for name, text in server.server.keys.items()}


# ---- behind the others ----

def test_a_standby_that_says_429_to_the_health_check_is_none_that_throttles(scripted, source, migrate):
    server = scripted()
    server.server.health = 429
    migrate("--from", source.config, "--to", server.config()).expect(0)
    assert values(server) == source.all() and server.asked("GET sys/health") <= 2


@pytest.mark.parametrize("login", [{}, {"login": f"token: {TOKEN}"}], ids=["approle", "token"])
def test_a_server_that_is_behind_the_others_is_asked_again(login, scripted, source, migrate):
    """412: reads and changes alike; it did nothing, so that nothing is in doubt."""
    server = scripted()
    server.at("GET", "kv/metadata", 2, behind).at("PUT", "kv/data", 90, behind).at("GET", "kv/data", 30, behind)
    migrate("--from", source.config, "--to", server.config(**login)).expect(0)
    assert values(server) == source.all()


def test_a_token_that_a_standby_does_not_know_yet_is_waited_for(scripted, source, migrate):
    """Each request with it is refused at first, and so is the question whether it is still good.  One login, one question at
    a time, and no word of a policy."""
    server = scripted()
    server.server.unknown[TOKEN] = 7
    migrate("--from", source.config, "--to", server.config()).expect(0)
    assert values(server) == source.all() and server.server.logins == 1
    assert server.asked("GET auth/token") + server.asked("POST auth/token") <= 12


def test_a_new_token_that_takes_the_place_of_a_dead_one_is_waited_for_as_well(scripted, source, migrate):
    """The first dies in the middle of the run: one login, and the second one is not known at once either."""
    server = scripted()

    def dies(handler):
        server.server.unknown.update({TOKEN: 10 ** 6, f"{TOKEN}-2": 7})
        denied(handler)
    server.at("PUT", "kv/data/key-00030", 1, dies)
    migrate("-j", "16", "--from", source.config, "--to", server.config()).expect(0)
    assert values(server) == source.all() and server.server.logins == 2
    # While the first is young that might be the reason, too.
    assert server.asked("GET auth/token") + server.asked("POST auth/token") <= 60


def test_a_policy_that_refuses_is_no_token_to_wait_for(scripted, source, migrate):
    server = scripted().at("PUT", "kv/data", 10 ** 6, denied)
    said = migrate("--from", source.config, "--to", server.config()).expect({5, 6, 7})
    assert "the policy needs 'create' on kv/data/" in said.err + said.out and server.server.logins == 1
    assert server.asked("PUT kv/data") <= 2 * len(source.all())


# ---- where a standby sends us ----

def test_a_change_is_sent_to_the_leader_after_a_look(scripted, source, migrate):
    """A standby says 307 also after it has forwarded a change and heard no answer."""
    keys = {}
    leader, standby = scripted(keys=keys), scripted(keys=keys)
    standby.at("PUT", "kv/", 10 ** 6, sent_to(leader.endpoint)).at("GET", "kv/", 10 ** 6, sent_to(leader.endpoint))
    migrate("--from", source.config, "--to", standby.config()).expect(0)
    assert values(leader) == source.all() and standby.asked("PUT") + standby.asked("GET kv") <= 3
    assert leader.asked("POST auth/approle") == 0 and leader.server.tokens == {TOKEN}


@pytest.mark.parametrize("status", [307, 308])
def test_a_login_is_sent_to_the_leader_too(status, scripted, source, migrate):
    leader, standby = scripted(), scripted()
    for method in ("GET", "PUT", "POST"):
        standby.at(method, "", 10 ** 6, sent_to(leader.endpoint, status))
    migrate("--from", source.config, "--to", standby.config()).expect(0)
    assert values(leader) == source.all()


def test_servers_without_a_leader_for_a_while_are_waited_for(scripted, source, migrate):
    server = scripted().at("POST", "auth/approle", 3, leaderless).at("GET", "kv/metadata", 4, leaderless)
    server.at("PUT", "kv/data", 100, leaderless)
    migrate("--from", source.config, "--to", server.config()).expect(0)
    assert values(server) == source.all() and server.server.logins == 1


def test_a_leader_that_is_gone_already_is_asked_for_again(scripted, source, migrate):
    """The standbys need some seconds to notice, and name the dead one until then."""
    dead, leader, standby = scripted(), scripted(), scripted()
    dead.end()
    for method in ("GET", "PUT"):
        standby.at(method, "kv/", 3, sent_to(dead.endpoint)).at(method, "kv/", 10 ** 6, sent_to(leader.endpoint))
    migrate("-j", "4", "--from", source.config, "--to", standby.config()).expect(0)
    assert values(leader) == source.all()


def test_servers_that_send_us_around_end_in_a_sentence(scripted, migrate):
    first, second = scripted(), scripted()
    first.at("GET", "kv/", 10 ** 6, sent_to(second.endpoint))
    second.at("GET", "kv/", 10 ** 6, sent_to(first.endpoint))
    said = migrate("--list", "--from", first.config()).expect({1, 5, 7})
    assert "do not agree on a leader" in said.err, said
    assert first.asked("GET kv/metadata") + second.asked("GET kv/metadata") <= 12


def test_a_token_does_not_follow_from_https_to_http(scripted, certificates, migrate):
    plain, standby = scripted(), scripted(tls=certificates)
    standby.at("GET", "kv/", 10 ** 6, sent_to(plain.endpoint))
    said = migrate("--list", "--from", standby.config()).expect({1, 5, 7})
    assert "not encrypted: the leader's api_addr must be https" in said.err, said
    assert not plain.server.seen


def test_a_leader_whose_certificate_is_not_trusted_gets_no_token(scripted, certificates, tmp, migrate):
    other = tmp / "other"
    other.mkdir()
    leader, standby = scripted(tls=vault_.Certificates(other)), scripted(tls=certificates)
    standby.at("GET", "kv/", 10 ** 6, sent_to(leader.endpoint))
    said = migrate("--list", "--from", standby.config()).expect({1, 5, 7})
    assert "certificate" in said.err and leader.endpoint in said.err and not leader.server.seen, said


@pytest.mark.parametrize("where", ["/elsewhere", "https://127.0.0.1:1/v1/kv/data/another", "ftp://127.0.0.1:1", ""])
def test_any_other_redirection_is_not_followed(where, scripted, migrate):
    server = scripted(keys={"my-key": "a value"})

    def away(handler):
        if not where:
            return handler.say(307)
        handler.say(307, None, Location=where)
    server.at("GET", "kv/", 10 ** 6, away)
    said = migrate("--list", "--from", server.config()).expect({1, 5, 7})
    assert "no Vault server's redirection" in said.err if where else "without saying where to go" in said.err, said


@pytest.mark.parametrize("status", [301, 302])
def test_a_proxy_that_redirects_names_the_endpoint_to_put_into_the_configuration(status, scripted, migrate):
    server = scripted().at("POST", "auth/", 10 ** 6, sent_to("https://vault.example.com:8200", status))
    said = migrate("--list", "--from", server.config()).expect({1, 5, 7})
    assert "https://vault.example.com:8200" in said.err and "keystore.vault.endpoint" in said.err, said
    assert len(said.err.splitlines()) == 1, said
