# SPDX-License-Identifier: Apache-2.0
"""A real Vault, and what tests do with it.

    engine = vault_engine(2)                        # a KV v2 engine of the test's own, on the Vault of the whole run
    engine.put("my-key", value); engine.value("my-key"); engine.names()       # straight through Vault's API, as KES does
    migrate("--from", engine.config(), "--to", ...)                           # with the root token
    migrate("--from", engine.config(login=engine.approle(READ)), ...)         # with a policy

    own = vault_own(disk, tls=True)                 # a Vault of the test's own: seal(), unseal(), kill(), start()
"""
import base64
import http.client
import itertools
import json
import os
import pathlib
import signal
import ssl
import subprocess
import threading
import time

from . import net, peers
from .waiting import wait_until

ROOT = "root-token-of-the-tests"
COUNTER = itertools.count(1)


class Refused(AssertionError):
    def __init__(self, method, path, status, body):
        super().__init__(f"vault: {method} {path}: {status} {body}")
        self.status = status


class Api:
    """What tests ask of a Vault.  call() says of which."""

    def api(self, method, path, body=None, token=ROOT):
        status, reply = self.call(method, path, body, token)
        if status >= 300:
            raise Refused(method, path, status, reply)
        return reply

    def enable(self, what, kind, path, **options):
        """what: "mounts" or "auth"."""
        self.api("POST", f"sys/{what}/{path}", {"type": kind, **options})

    def policy(self, text):
        """A policy of these rules; its name."""
        name = f"policy-{next(COUNTER)}"
        self.api("PUT", f"sys/policies/acl/{name}", {"policy": text})
        return name

    def token(self, *policies, **how):
        """A token with these policies and no default one, unless how says otherwise."""
        body = {"policies": list(policies), "no_default_policy": True, "ttl": "1h", **how}
        return self.api("POST", "auth/token/create-orphan", body)["auth"]["client_token"]

    def revoke(self, token):
        self.api("POST", "auth/token/revoke", {"token": token})

    def approle(self, *policies, **how):
        """The lines of a configuration for an AppRole login; .role, .secret are its parts."""
        self.once("auth", "approle", "approle")
        role = f"role-{next(COUNTER)}"
        self.api("POST", f"auth/approle/role/{role}", {"token_policies": list(policies), "token_no_default_policy": True,
                                                       **how})
        login = Login(role)
        login.id = self.api("GET", f"auth/approle/role/{role}/role-id")["data"]["role_id"]
        made = self.api("POST", f"auth/approle/role/{role}/secret-id")["data"]
        login.secret, login.accessor = made["secret_id"], made["secret_id_accessor"]
        login.text = f"approle: {{ id: {login.id}, secret: {login.secret} }}"
        return login

    def once(self, what, kind, path):
        try:
            self.enable(what, kind, path)
        except Refused as error:
            if error.status != 400:
                raise


class Vault(Api):
    """One Vault process.  Without storage everything is in memory, and it is open from the start."""
    open_states = (200,)                # of sys/health

    def __init__(self, place, storage=None, tls=None, environment=None):
        self.program, self.place = peers.need("vault"), pathlib.Path(place)
        self.storage, self.tls, self.environment = storage, tls, environment
        self.local, self.process, self.port = threading.local(), None, None
        self.unseal_key, self.root = None, ROOT
        self.life = 0

    @property
    def endpoint(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self, port=None):
        for _ in range(5):
            self.port = port or self.port or net.free_port()
            argv = self.arguments()
            log = self.place / f"vault-{self.port}.log"
            with open(log, "wb") as file:
                self.process = subprocess.Popen([str(part) for part in argv], stdin=subprocess.DEVNULL, stdout=file,
                                                stderr=file, start_new_session=True, env=self.environment)
            self.life += 1
            wait_until(lambda: self.process.poll() is not None or self.is_ready(log), "Vault to start", 90)
            if self.process.poll() is None:
                if self.storage:
                    self.open()
                return self
            if b"address already in use" not in log.read_bytes():
                break
            self.port = None
        raise AssertionError(f"Vault did not start:\n{log.read_text(errors='replace')}")

    def is_ready(self, log):
        return b"ready " in log.read_bytes()

    def arguments(self):
        argv = [self.program, "-listen", f"127.0.0.1:{self.port}"]
        argv += ["-storage", self.storage] if self.storage else ["-root", ROOT]
        return argv + (["-cert", self.tls.cert, "-key", self.tls.key] if self.tls else [])

    def open(self):
        """Initialise it if it never was, and unseal it."""
        if self.unseal_key is None:
            made = self.api("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, token=None)
            self.unseal_key, self.root = made["keys_base64"][0], made["root_token"]
        self.unseal()

    def unseal(self):
        self.api("PUT", "sys/unseal", {"key": self.unseal_key}, token=None)
        wait_until(lambda: self.call("GET", "sys/health", token=None)[0] in self.open_states, "Vault to be open")

    def seal(self):
        self.api("PUT", "sys/seal")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def _connection(self):
        """One kept connection a thread and life of the server."""
        if getattr(self.local, "life", None) != (self.life, self.port):
            if self.tls:
                self.local.connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.port, timeout=60, context=ssl.create_default_context(cafile=self.tls.ca))
            else:
                self.local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.local.life = (self.life, self.port)
        return self.local.connection

    def call(self, method, path, body=None, token=ROOT):
        """(status, decoded body or {})."""
        headers = {"X-Vault-Token": self.root if token == ROOT else token} if token else {}
        text = None if body is None else json.dumps(body)
        for last in (False, True):
            connection = self._connection()
            try:
                connection.request(method, f"/v1/{path}", text, headers)
                reply = connection.getresponse()
                data = reply.read()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                if last:
                    raise
        return reply.status, json.loads(data) if data else {}

class Bao(Vault):
    """The same, served by the OpenBao that KESFS_TEST_BAO names."""

    def __init__(self, place, storage=None, tls=None, environment=None):
        self.place = pathlib.Path(place)
        self.storage, self.tls, self.environment = storage, tls, environment
        self.program = pathlib.Path(os.environ["KESFS_TEST_BAO"])
        self.local, self.process, self.port = threading.local(), None, None
        self.unseal_key, self.root, self.life = None, ROOT, 0

    def is_ready(self, log):
        return net.listening(self.port) and (self.storage or self.call("GET", "sys/health", token=None)[0] == 200)

    def arguments(self):
        if not self.storage and not self.tls:
            return [self.program, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT}",
                    f"-dev-listen-address=127.0.0.1:{self.port}"]
        pathlib.Path(self.storage).mkdir(exist_ok=True)
        tls = f'tls_cert_file = "{self.tls.cert}"\ntls_key_file = "{self.tls.key}"' if self.tls else "tls_disable = true"
        config = self.place / "bao.hcl"
        config.write_text(f'storage "file" {{\n path = "{self.storage}"\n}}\napi_addr = "{self.endpoint}"\n'
                          f'listener "tcp" {{\n address = "127.0.0.1:{self.port}"\n{tls}\n}}\n')
        return [self.program, "server", f"-config={config}"]


def server(place, **how):
    return (Bao if os.environ.get("KESFS_TEST_BAO") else Vault)(place, **how)


class Login:
    def __init__(self, role):
        self.role, self.id, self.secret, self.accessor, self.text = role, None, None, None, ""


class Engine:
    """A KV engine, or a folder in one, with or without transit wrapping."""

    def __init__(self, vault, place, version, prefix="", transit=False, path=None, planted=None):
        self.vault, self.place, self.version, self.prefix = vault, pathlib.Path(place), version, prefix
        self.planted = planted
        self.path = path or f"kv{next(COUNTER)}"
        if path is None:
            vault.enable("mounts", "kv", self.path, options={"version": str(version)})
            # A KV v2 engine needs a moment to set itself up.
            wait_until(lambda: vault.call("GET", self.data("nothing"))[0] == 404, "the KV engine to be ready")
        self.transit = None
        if transit:
            vault.once("mounts", "transit", "transit")
            self.transit = f"transit-{next(COUNTER)}"
            vault.api("POST", f"transit/keys/{self.transit}", {})

    def _path(self, kind, name):
        parts = [self.path, kind if self.version == 2 else "", self.prefix, name]
        return "/".join(part for part in parts if part)

    def data(self, name):
        return self._path("data", name)

    def metadata(self, name=""):
        return self._path("metadata", name) + ("" if name else "/")

    def keystore(self, login=None, endpoint=None, more=""):
        """The keystore section.  login: a Login, or lines of the vault section; nothing: the root token."""
        lines = [f"endpoint: {endpoint or self.vault.endpoint}", f"engine: {self.path}", f"version: v{self.version}"]
        lines += [f"prefix: {self.prefix}"] if self.prefix else []
        lines += [f"transit: {{ key: {self.transit} }}"] if self.transit else []
        lines += [f"tls: {{ ca: {self.vault.tls.ca} }}"] if self.vault.tls else []
        text = getattr(login, "text", login) or f"token: {self.vault.root}"
        lines += text.splitlines() + more.splitlines()
        if self.planted:
            self.planted.plant(self.vault.root, getattr(login, "secret", None) or self.vault.root)
        return "keystore:\n  vault:\n" + "".join(f"    {line}\n" for line in lines)

    def config(self, login=None, endpoint=None, more=""):
        file = self.place / f"{self.path}-{next(COUNTER)}.yml"
        file.write_text("version: v1\n" + self.keystore(login, endpoint, more))
        return file

    def put(self, name, value, wrap=True):
        """As KES does it."""
        text = value.decode()
        if self.transit and wrap:
            text = self.vault.api("POST", f"transit/encrypt/{self.transit}",
                                  {"plaintext": base64.b64encode(value).decode()})["data"]["ciphertext"]
        body = {"options": {"cas": 0}, "data": {name: text}} if self.version == 2 else {name: text}
        self.vault.api("PUT", self.data(name), body)

    def put_all(self, keys):
        for name, value in keys.items():
            self.put(name, value)
        return self

    def raw(self, name):
        """The text that is stored, wrapped or not; None if version 1 cannot be read."""
        status, reply = self.vault.call("GET", self.data(name) + ("?version=1" if self.version == 2 else ""))
        if status == 404:
            return None
        assert status == 200, reply
        return (reply["data"]["data"] if self.version == 2 else reply["data"])[name]

    def value(self, name):
        text = self.raw(name)
        if text is None:
            return None
        if not self.transit or not text.startswith("vault:v"):
            return text.encode()
        plain = self.vault.api("POST", f"transit/decrypt/{self.transit}", {"ciphertext": text})["data"]["plaintext"]
        return base64.b64decode(plain)

    def names(self):
        status, reply = self.vault.call("GET", self.metadata() + "?list=true")
        return sorted(name for name in reply["data"].get("keys", [])) if status == 200 else []

    def all(self):
        """Without folders, and without the NAME.temp that Vault's file storage shows, and cannot read, after it was
        killed: no key of KES has a dot."""
        return {name: self.value(name) for name in self.names() if not name.endswith("/") and "." not in name}

    def remove(self, name):
        self.vault.api("DELETE", self.metadata(name))

    def policy(self, *rules):
        """rules: ("data", "read") and the like, for every name; "metadata/" is the folder.  The name of the policy."""
        text = []
        for kind, capabilities in rules:
            if kind in ("encrypt", "decrypt"):
                path = f"transit/{kind}/{self.transit}"
            elif kind == "folder":
                path = self.metadata()
            else:
                path = self._path(kind, "*")
            listed = ", ".join(f'"{capability}"' for capability in capabilities.split())
            text.append(f'path "{path}" {{ capabilities = [{listed}] }}')
        text.append('path "auth/token/renew-self" { capabilities = ["update"] }')
        return self.vault.policy("\n".join(text))


class Certificates:
    """A CA of the test's own, a server certificate for 127.0.0.1, and a client certificate."""

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.ca, self.cert, self.key = self.place / "ca.pem", self.place / "server.pem", self.place / "server.key"
        self.client, self.client_key = self.place / "client.pem", self.place / "client.key"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                  "/CN=kesfs tests", "-keyout", self.place / "ca.key", "-out", self.ca)
        self._sign(self.cert, self.key, "127.0.0.1", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self._sign(self.client, self.client_key, "a client", "extendedKeyUsage=clientAuth")

    def _run(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def _sign(self, cert, key, name, extension):
        request = self.place / "request.pem"
        extensions = self.place / "extensions"
        extensions.write_text(extension + "\n")
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                  "-keyout", key, "-out", request)
        self._run("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.place / "ca.key", "-CAcreateserial",
                  "-days", "2", "-extfile", extensions, "-out", cert)
        os.chmod(key, 0o600)
