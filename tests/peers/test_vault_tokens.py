# SPDX-License-Identifier: Apache-2.0
"""Logins and tokens: every way to log in, and what happens when a token ends in the middle of a run."""
import base64
import http.server
import json
import ssl
import threading
import time

import pytest

from tests.support import vault as vault_
from tests.peers.test_vault import ALL, approle, rules

pytestmark = pytest.mark.peers


@pytest.fixture
def source(store, keys):
    return store("source", keys.many(200))


def put(engine):
    return b"PUT /v1/" + engine.data("").encode() + b"/"


# ---- ways to log in ----

def test_a_token_from_a_file_is_read_with_its_newline(vault_engine, keys, tmp, migrate):
    engine = vault_engine(2)
    engine.put("my-key", keys.a())
    (tmp / "token").write_text(engine.vault.token(engine.policy(*rules(engine, ALL))) + "\n")
    assert migrate("--list", "--from", engine.config(f"token: {tmp}/token")).expect(0).lines == ["my-key"]
    (tmp / "token").write_text("\n")
    assert "is empty" in migrate("--list", "--from", engine.config(f"token: {tmp}/token")).expect(7).err
    (tmp / "token").unlink()
    assert f"{tmp}/token" in migrate("--list", "--from", engine.config(f"token: {tmp}/token")).expect({1, 2, 3, 7}).err


def test_a_wrong_token_or_secret_id_is_one_clear_line(vault_engine, planted, migrate):
    engine = vault_engine(1)
    wrong = "s.wrongwrongwrongwrongwrong"
    planted.plant(wrong)
    said = migrate("--list", "--from", engine.config(f"token: {wrong}")).expect(7)
    assert "the token was refused" in said.err and len(said.err.splitlines()) == 1, said
    login = approle(engine)
    login.text = login.text.replace(login.secret, wrong)
    said = migrate("--list", "--from", engine.config(login)).expect(7)
    assert "wrong role or secret id" in said.err and len(said.err.splitlines()) == 1, said
    login.text = login.text.replace("approle: { ", "approle: { engine: nowhere, ")
    said = migrate("--list", "--from", engine.config(login)).expect({1, 7})
    assert "nowhere" in said.err, said


def test_a_login_by_client_certificate(vault_own, vault_engine, certificates, keys, migrate):
    own = vault_own(tls=certificates)
    engine = vault_engine(2, vault=own)
    engine.put("my-key", keys.a())
    own.enable("auth", "cert", "cert")
    own.api("POST", "auth/cert/certs/kes", {"certificate": certificates.ca.read_text(),
                                            "token_policies": [engine.policy(*rules(engine, ALL))]})
    tls = f"ca: {certificates.ca}, cert: {certificates.client}, key: {certificates.client_key}"
    for more in ("", "\n    cert: { role: kes }"):
        config = engine.config("")
        text = config.read_text().replace(f"token: {own.root}", "")
        config.write_text(text.replace(f"tls: {{ ca: {certificates.ca} }}", f"tls: {{ {tls} }}{more}"))
        assert migrate("--list", "--from", config).expect(0).lines == ["my-key"]


class Reviewer(http.server.BaseHTTPRequestHandler):
    """What of a Kubernetes cluster Vault asks: whose token is this?"""
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": {
            "authenticated": asked["spec"]["token"] == self.server.good,
            "user": {"username": "system:serviceaccount:minio:kes", "uid": "1234",
                     "groups": ["system:serviceaccounts"]}}}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def cluster(certificates):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Reviewer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert, certificates.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    part = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (
        {"alg": "RS256", "typ": "JWT"}, {"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:minio:kes",
         "kubernetes.io/serviceaccount/namespace": "minio", "kubernetes.io/serviceaccount/service-account.name": "kes",
         "kubernetes.io/serviceaccount/service-account.uid": "1234", "nbf": int(time.time()) - 60,
         "iat": int(time.time()) - 60, "exp": int(time.time()) + 3600})]
    server.good = ".".join(part + [base64.urlsafe_b64encode(b"signature" * 28).rstrip(b"=").decode()])
    server.url = f"https://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_login_by_a_kubernetes_service_account(vault, vault_engine, certificates, cluster, keys, tmp, planted, migrate):
    engine = vault_engine(2)
    engine.put("my-key", keys.a())
    planted.plant(cluster.good)
    path = f"kubernetes-{next(vault_.COUNTER)}"
    vault.enable("auth", "kubernetes", path)
    vault.api("POST", f"auth/{path}/config", {
        "kubernetes_host": cluster.url, "kubernetes_ca_cert": certificates.ca.read_text(), "token_reviewer_jwt": cluster.good,
        "disable_local_ca_jwt": True, "disable_iss_validation": True})
    vault.api("POST", f"auth/{path}/role/kes", {
        "bound_service_account_names": ["kes"], "bound_service_account_namespaces": ["minio"], "audience": "",
        "token_policies": [engine.policy(*rules(engine, ALL))]})
    (tmp / "jwt").write_text(cluster.good + "\n")
    for jwt in (cluster.good, f"{tmp}/jwt"):
        config = engine.config(f"kubernetes: {{ engine: {path}, role: kes, jwt: '{jwt}' }}")
        assert migrate("--list", "--from", config).expect(0).lines == ["my-key"]
    config = engine.config(f"kubernetes: {{ engine: {path}, role: other, jwt: {tmp}/jwt }}")
    assert "keystore.vault.kubernetes" in migrate("--list", "--from", config).expect(7).err


# ---- in the middle of a run ----

def revoke_all(vault, role):
    """Every token of an AppRole: by its accessors."""
    for accessor in vault.api("GET", "auth/token/accessors?list=true")["data"]["keys"]:
        status, reply = vault.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})
        if status == 200 and (reply["data"].get("meta") or {}).get("role_name") == role:
            vault.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})


@pytest.mark.parametrize("default_policy", [True, False], ids=["default policy", "lean policy"])
def test_a_token_revoked_in_the_middle_is_replaced_by_one_login(default_policy, vault_engine, source, tripwire, migrate):
    """With the lean policy the token may not even look at itself, and a 403 could mean anything."""
    engine = vault_engine(2)
    login = engine.vault.approle(engine.policy(*rules(engine, ALL)), token_no_default_policy=not default_policy)
    wire = tripwire(engine.vault.port).at(put(engine), 50, lambda: revoke_all(engine.vault, login.role))
    migrate("--from", source.config, "--to", engine.config(login, endpoint=wire.endpoint)).expect(0)
    assert wire.tripped and engine.all() == source.all()
    logins = sum(line.startswith(b"POST /v1/auth/approle/login") for line in wire.seen)
    assert 2 <= logins <= 3, f"{logins} logins"


def test_a_fixed_token_revoked_in_the_middle_ends_the_run_and_a_new_one_completes_it(vault_engine, source, tripwire, tmp,
                                                                                     migrate):
    engine = vault_engine(1)
    policy = engine.policy(*rules(engine, ALL))
    token = engine.vault.token(policy)
    (tmp / "token").write_text(token)
    wire = tripwire(engine.vault.port).at(put(engine), 50, lambda: engine.vault.revoke(token))
    config = engine.config(f"token: {tmp}/token", endpoint=wire.endpoint)
    said = migrate("--from", source.config, "--to", config).expect({1, 5, 7})
    assert wire.tripped and "token was refused" in said.err, said
    there = engine.all()
    assert 0 < len(there) < 200
    open_ = {line.split()[1].rstrip(":") for line in said.out.splitlines() if line.startswith("! ")}
    assert open_ >= set(source.names()) - set(there), "what is open is not named"
    (tmp / "token").write_text(engine.vault.token(policy))
    migrate("--from", source.config, "--to", config).expect(0)
    assert engine.all() == source.all()


def test_a_used_up_secret_id_lets_the_token_serve_as_long_as_it_lives(vault_engine, source, tripwire, migrate):
    engine = vault_engine(2)
    login = engine.vault.approle(engine.policy(*rules(engine, ALL)), secret_id_num_uses=1)
    wire = tripwire(engine.vault.port).at(put(engine), 150, lambda: revoke_all(engine.vault, login.role))
    config = engine.config(login, endpoint=wire.endpoint)
    said = migrate("--from", source.config, "--to", config).expect({1, 5, 7})
    assert wire.tripped and "secret id is used up" in said.err, said
    assert len(engine.names()) >= 100
    assert "secret id is used up" in migrate("--from", source.config, "--to", config).expect(7).err


@pytest.mark.long
def test_a_token_with_a_period_of_ten_seconds_is_renewed_for_as_long_as_it_takes(vault_engine, store, keys, tripwire,
                                                                                 migrate):
    engine, source = vault_engine(2), store("source", keys.many(500))
    login = engine.vault.approle(engine.policy(*rules(engine, ALL)), token_period="10s")
    wire = tripwire(engine.vault.port)
    migrate("--tpslimit", "40", "--from", source.config, "--to", engine.config(login, endpoint=wire.endpoint),
            timeout=110).expect(0)
    assert engine.all() == source.all()
    said = [line.split()[1] for line in wire.seen if b"/v1/auth/" in line]
    assert said.count(b"/v1/auth/approle/login") == 1 and said.count(b"/v1/auth/token/renew-self") >= 2, said


@pytest.mark.long
def test_a_mount_outlives_its_short_token_and_says_when_it_expires(vault_engine, keys, mount, wait_until):
    engine = vault_engine(1)
    engine.put("my-key", keys.a())
    login = engine.vault.approle(engine.policy(*rules(engine, ALL)), token_period="5s")
    m = mount(engine.config(login), "-o", "ro,ttl=1")
    first = m.status()["token_expires"]
    wait_until(lambda: m.status()["token_expires"] > first + 10, "three renewals", 60)
    assert (m / "my-key").read_bytes() == engine.value("my-key")
