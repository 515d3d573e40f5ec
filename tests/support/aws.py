# SPDX-License-Identifier: Apache-2.0
"""AWS Secrets Manager for tests: moto, a service that others wrote, and a fake of ours (tests/aws_fake, a program in C) for
what moto cannot do: AWS's quotas, a million names, lists that lag, lost answers, signatures that are checked.

    moto = Moto(folder).start()              # a running moto server, empty
    fake = Fake(program)                     # fake.put(name, value), fake.fail(operation, what), fake.calls, fake.values()
    fake.set(quotas=True, delay=0.020)       # and list_lag, burst, rates, preload, forced_hold, clock, page
    config = fake.write(tmp / "aws.yml")     # a KES configuration file for either
    login = Login(fake)                      # STS and the metadata services: login.identity() is known to the fake
"""
import base64
import collections
import http.client
import http.server
import json
import pathlib
import subprocess
import threading
import time
import urllib.parse
import urllib.request
import uuid

from . import net, peers
from .waiting import wait_until

REGION = "us-east-2"
ACCESS_KEY, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def config(path, endpoint, credentials=True, more=""):
    text = (f"version: v1\nkeystore:\n  aws:\n    secretsmanager:\n      endpoint: {endpoint}\n      region: {REGION}\n{more}")
    if credentials:
        text += f"      credentials:\n        accesskey: {ACCESS_KEY}\n        secretkey: {SECRET_KEY}\n"
    path = pathlib.Path(path)
    path.write_text(text)
    return path


class Service:
    """Whatever answers at self.endpoint."""

    def write(self, path, credentials=True, more=""):
        return config(path, self.endpoint, credentials, more)

    def boto3(self, script, **values):
        """Python that sees `client`, `ClientError` and `values`, and leaves its answer in `answer`."""
        code = ("import boto3, json, sys\nfrom botocore.config import Config\nfrom botocore.exceptions import ClientError\n"
                "values = json.load(sys.stdin)\n"
                f"client = boto3.client('secretsmanager', endpoint_url='{self.endpoint}', region_name='{REGION}', "
                f"aws_access_key_id='{ACCESS_KEY}', aws_secret_access_key='{SECRET_KEY}', "
                "config=Config(retries={'total_max_attempts': 1}))\nanswer = None\n"
                f"{script}\nprint(json.dumps(answer, default=str))")
        python = pathlib.Path(peers.need("moto")).parent / "python3"
        done = subprocess.run([python, "-c", code], input=json.dumps(values), capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class Moto(Service):
    """One moto server.  It checks no signature."""

    def __init__(self, place):
        self.program = pathlib.Path(peers.need("moto"))
        self.log = place / "moto.log"
        self.process = None

    def start(self):
        for _ in range(5):
            self.port = net.free_port()
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen([self.program, "-H", "127.0.0.1", "-p", str(self.port)], stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL, start_new_session=True)
            wait_until(lambda: self.process.poll() is not None or net.listening(self.port), "moto to listen")
            if self.process.poll() is None:
                return self
        raise AssertionError(f"moto did not start: {self.log.read_text()}")

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST"), timeout=30).read()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


class Refusal:
    """An error code that the service answers with."""

    def __init__(self, code, message="", status=400):
        self.code, self.message, self.status = code, message, status


class Fake(Service):
    """One tests/aws_fake.  It knows one identity, and checks signatures."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self.port = int(self.process.stdout.readline())
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.control, self.lock = None, threading.Lock()
        self.know(ACCESS_KEY, SECRET_KEY)

    def stop(self):
        """Ends it, which must have gone well up to now."""
        if self.control is not None:
            self.control.close()
        self.process.stdin.close()
        assert self.process.wait(30) == 0, "the fake of AWS died"
        self.process.stdout.close()

    def ask(self, do, **values):
        with self.lock:
            if self.control is None:
                self.control = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.control.request("POST", "/_fake", json.dumps({"do": do, **values}))
            reply = self.control.getresponse()
            assert reply.status == 200, f"the fake of AWS cannot do {do}"
            return json.loads(reply.read())

    def set(self, **values):
        """delay, burst, list_lag, forced_hold, clock in seconds; quotas: bool; rates: {operation: a second}; preload, page."""
        self.ask("set", **values)

    def put(self, name, value, binary=False, owned=False):
        self.ask("put", name=name, value=(base64.b64encode(value) if binary else value).decode(), binary=binary, owned=owned)

    def mark(self, name, **how):
        """deleted_in: its recovery window ends so many seconds from now; unread: so many reads do not find it yet; unlisted:
        lists lack it for so many seconds."""
        self.ask("mark", name=name, **how)

    def stored(self, name):
        return self.ask("stored", name=name)

    def values(self):
        return {name: value.encode() for name, value in self.ask("values").items()}

    def know(self, key, secret, token=None, seconds=0):
        self.ask("know", id=key, secret=secret, token=token, seconds=seconds)

    def forget(self):
        """Nobody is known any more."""
        self.ask("forget")

    def fail(self, operation, what, times=1, names=None, skip=0):
        """what: a Refusal, or "lose": do it and close without an answer, or "drop": close at once.  The first `skip` calls
        are good ones."""
        if isinstance(what, Refusal):
            self.ask("fail", operation=operation, what=what.code, message=what.message, status=what.status, times=times,
                     names=names, skip=skip)
        else:
            self.ask("fail", operation=operation, what=what, times=times, names=names, skip=skip)

    @property
    def calls(self):
        """{operation: how often it was called}"""
        return collections.Counter({name: numbers[0] for name, numbers in self.ask("calls").items()})

    @property
    def throttled(self):
        """{operation: how often a quota refused it}"""
        return collections.Counter({name: numbers[1] for name, numbers in self.ask("calls").items()})

    @property
    def seen(self):
        """(operation, headers, body) of the last requests; names of headers are in lower case."""
        return [(request["operation"], request["headers"], request["body"]) for request in self.ask("seen")]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.login.serve_sts(self, body)

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.login.serve_metadata(self)

    def do_GET(self):
        self.server.login.serve_metadata(self)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


class Login:
    """STS and the metadata services of containers and instances, on one port: they make identities known to a Fake."""

    def __init__(self, fake):
        self.fake = fake
        self.calls = collections.Counter()
        self.metadata = {}                       # "GET path": (headers that must be there, answer)
        self.sts = {}                            # Action: function(form, handler) -> (status, XML)
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.login = self
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(30)

    def identity(self, session=True, seconds=3600):
        """A new set of temporary credentials, as the metadata services give them."""
        key, token = "ASIA" + uuid.uuid4().hex[:16].upper(), "session-" + uuid.uuid4().hex if session else None
        secret = base64.b64encode(uuid.uuid4().bytes).decode()
        self.fake.know(key, secret, token, seconds)
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        return {"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": expires}

    def serve_sts(self, handler, body):
        form = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
        with self.lock:
            self.calls[form["Action"]] += 1
            if form["Action"] not in self.sts:
                return handler.answer(400, b"<ErrorResponse><Error><Code>InvalidAction</Code><Message>no</Message></Error>"
                                      b"</ErrorResponse>", "text/xml")
            status, text = self.sts[form["Action"]](form, handler)
        return handler.answer(status, text.encode(), "text/xml")

    def role(self, action):
        """XML as STS answers it, with credentials that the fake then knows."""
        i = self.identity()
        return (f"<{action}Response><{action}Result><Credentials><AccessKeyId>{i['AccessKeyId']}</AccessKeyId>"
                f"<SecretAccessKey>{i['SecretAccessKey']}</SecretAccessKey><SessionToken>{i['Token']}</SessionToken>"
                f"<Expiration>{i['Expiration']}</Expiration></Credentials></{action}Result></{action}Response>")

    def serve_metadata(self, handler):
        with self.lock:
            self.calls[f"{handler.command} {handler.path}"] += 1
            wanted, reply = self.metadata.get(f"{handler.command} {handler.path}", (None, None))
            if wanted is None:
                return handler.answer(404, b"")
            if any(handler.headers.get(name) != value for name, value in wanted.items()):
                return handler.answer(401, b"")
            reply = reply() if callable(reply) else reply
        return handler.answer(200, reply if isinstance(reply, bytes) else json.dumps(reply).encode())
