# SPDX-License-Identifier: Apache-2.0
"""Real KES servers, the judges of what a key store holds.

    server = kes(a.path)                      # a KES server whose fs path that is; ready when it returns
    server.create("my-key"); c = server.encrypt("my-key", "text"); assert server.decrypt("my-key", c) == "text"
"""
import base64
import json
import pathlib
import signal
import subprocess

from . import net, peers
from .waiting import wait_until

# A server that forgets at once what it has read: a test sees the store, not the cache.
FORGETFUL = "cache:\n  expiry:\n    any: 100ms\n    unused: 100ms\n    offline: 0s\n"


class Server:
    """One KES process.  config: its configuration file, which our programs read too."""

    def __init__(self, owner, keystore, more):
        self.owner, self.keystore, self.more = owner, keystore, more
        self.folder = owner.place / f"kes{len(owner.all)}"
        self.folder.mkdir()
        self.config = self.folder / "server.yml"
        self.process = None

    def start(self):
        """Start and wait until it answers.  Another process may take the port in between: then once more."""
        for _ in range(5):
            self.port = net.free_port()
            self.config.write_text(
                f"version: v1\naddress: 127.0.0.1:{self.port}\nadmin:\n  identity: {self.owner.identity}\n"
                f"tls:\n  key: {self.owner.key_file}\n  cert: {self.owner.cert_file}\n{self.more}{self.keystore}")
            log = open(self.folder / "log", "ab")
            self.process = subprocess.Popen([self.owner.program, "server", "--config", self.config], cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            log.close()
            wait_until(lambda: self.process.poll() is not None or self._answers(), "KES to answer")
            if self.process.poll() is None:
                return self
            if "address already in use" not in self.log:
                break
        raise AssertionError(f"KES did not start:\n{self.log}")

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def _answers(self):
        return net.listening(self.port) and self.cli("status", "-k", check=False).returncode == 0

    def cli(self, *arguments, check=True):
        """kes ARGUMENTS against this server."""
        env = self.owner.programs.environment(
            {"KES_SERVER": f"https://127.0.0.1:{self.port}", "KES_API_KEY": self.owner.api_key, "NO_COLOR": "1"})
        done = subprocess.run([self.owner.program, *map(str, arguments)], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, f"kes {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}"
        return done

    def create(self, name, check=True):
        return self.cli("key", "create", "-k", name, check=check)

    def remove(self, name):
        return self.cli("key", "rm", "-k", name)

    def list(self):
        """The names, sorted as KES gives them."""
        return self.cli("key", "ls", "-k").stdout.split()[1:]     # below the heading "Key"

    def encrypt(self, name, text):
        """The ciphertext as the command prints it."""
        return json.loads(self.cli("key", "encrypt", "-k", name, text).stdout)["ciphertext"]

    def decrypt(self, name, ciphertext):
        plain = json.loads(self.cli("key", "decrypt", "-k", name, ciphertext).stdout)["plaintext"]
        return base64.b64decode(plain).decode()

    def decrypts(self, name, ciphertext):
        """May it, now?"""
        return self.cli("key", "decrypt", "-k", name, ciphertext, check=False).returncode == 0

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def restart(self):
        self.stop()
        return self.start()


class Servers:
    """The `kes` fixture: kes(path) or kes(keystore="keystore:\\n  vault: ...").  more: other sections of the file."""

    def __init__(self, programs, place):
        self.programs, self.place, self.all = programs, pathlib.Path(place), []
        self.program = peers.need("kes")
        self.key_file, self.cert_file = self.place / "kes.key", self.place / "kes.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.key_file, "-out", self.cert_file, "-days", "2", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        out = self._plain("identity", "new")
        self.api_key = next(word for word in out.split() if word.startswith("kes:v1:"))
        self.identity = next(word for word in self._plain("identity", "of", self.api_key).split() if len(word) == 64)

    def _plain(self, *arguments):
        return subprocess.run([self.program, *arguments], capture_output=True, text=True, check=True,
                              env=self.programs.environment({"NO_COLOR": "1"}), stdin=subprocess.DEVNULL).stdout

    def __call__(self, path=None, keystore=None, more=FORGETFUL):
        keystore = keystore or f"keystore:\n  fs:\n    path: {path}\n"
        server = Server(self, keystore, more)
        self.all.append(server)
        return server.start()

    def config(self, name, keystore):
        """A file that `kes migrate` takes as well as our programs, without a server."""
        file = self.place / f"{name}.yml"
        file.write_text(f"version: v1\naddress: 127.0.0.1:0\nadmin:\n  identity: disabled\n"
                        f"tls:\n  key: {self.key_file}\n  cert: {self.cert_file}\n{keystore}")
        return file

    def migrate(self, source, target, *arguments):
        """`kes migrate`, for comparison: a programs.Result."""
        return self.programs.run(self.program, "migrate", "--from", source, "--to", target, *arguments, timeout=100)

    def end(self):
        for server in self.all:
            server.stop()
