# SPDX-License-Identifier: Apache-2.0
"""AWS Secrets Manager for tests: moto, a service that others wrote, and a fake of ours for what moto cannot do.

    service = moto()                         # a running moto server, empty; service.client is boto3's, in another process
    fake = aws_fake()                        # a Fake: fake.secrets, fake.calls, fake.fail(operation, code, times)
    config = fake.write(tmp / "aws.yml")     # a KES configuration file for it
"""
import base64
import collections
import http.server
import json
import pathlib
import subprocess
import threading
import time
import urllib.parse
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


class Moto:
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

    def write(self, path):
        return config(path, self.endpoint)

    def reset(self):
        import urllib.request
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST"), timeout=30).read()

    def boto3(self, script, **values):
        """Python that sees `client` and `values` and leaves its answer in `answer`."""
        code = ("import boto3, json, sys\nvalues = json.load(sys.stdin)\n"
                f"client = boto3.client('secretsmanager', endpoint_url='{self.endpoint}', region_name='{REGION}', "
                "aws_access_key_id='x', aws_secret_access_key='y')\nanswer = None\n"
                f"{script}\nprint(json.dumps(answer))")
        done = subprocess.run([self.program.parent / "python3", "-c", code], input=json.dumps(values), capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(6, 1, 1)      # no Nagle

    def answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + self.server.fake.clock)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.fake.serve(self, body)

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.fake.serve_metadata(self)

    def do_GET(self):
        self.server.fake.serve_metadata(self)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


class Refusal(Exception):
    def __init__(self, code, message="", status=400):
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class Fake:
    """Secrets Manager, STS and the metadata services, all on one port.  Checks who asks (identities: access key ID to
    session token) but, like the others, not the signature."""

    def __init__(self):
        self.secrets = {}                        # name: {"value", "versions", "created", "changed", "deleted"}
        self.calls = collections.Counter()
        self.failures = collections.defaultdict(list)    # operation: [(names, what)]
        self.identities = {ACCESS_KEY: None}
        self.seen = []                           # (operation, headers, body) of each request
        self.unlisted = set()                    # created, and not in a listing yet
        self.unread = collections.Counter()      # name: how often reading still says "not found"
        self.tokens = {}
        self.clock = 0                           # seconds that the service is ahead
        self.page = 100
        self.metadata = {}                       # path: (headers that must be there, answer)
        self.sts = {}                            # Action: function(form) -> (status, XML)
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.fake = self
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def write(self, path, credentials=True, more=""):
        return config(path, self.endpoint, credentials, more)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(30)

    def put(self, name, value):
        self.secrets[name] = {"value": value.decode(), "created": time.time(), "changed": time.time(), "deleted": None}

    def values(self):
        return {name: s["value"].encode() for name, s in self.secrets.items() if s["deleted"] is None}

    def fail(self, operation, what, times=1, names=None):
        """what: a Refusal, or "lose": do it and close without an answer, or "drop": close at once."""
        self.failures[operation].append([names, what, times])

    # ---- Secrets Manager ----

    def serve(self, handler, body):
        target = handler.headers.get("X-Amz-Target", "")
        if not target:
            return self.serve_sts(handler, body)
        operation = target.split(".")[1]
        asked = json.loads(body)
        name = asked.get("SecretId") or asked.get("Name")
        with self.lock:
            self.calls[operation] += 1
            self.seen.append((operation, dict(handler.headers), body))
            what = self._failure(operation, name)
            try:
                if what == "drop":
                    handler.close_connection = True
                    return None
                if isinstance(what, Refusal):
                    raise what
                self._known(handler)
                reply = getattr(self, "_" + operation)(asked, name)
            except Refusal as refusal:
                return handler.answer(refusal.status, {"__type": f"com.amazonaws.secretsmanager#{refusal.code}",
                                                       "message": refusal.message})
        if what == "lose":
            handler.close_connection = True
            return None
        return handler.answer(200, reply)

    def _failure(self, operation, name):
        for failure in self.failures[operation]:
            if failure[2] > 0 and (failure[0] is None or name in failure[0]):
                failure[2] -= 1
                return failure[1]
        return None

    def _known(self, handler):
        authorization = handler.headers.get("Authorization", "")
        identity = authorization.partition("Credential=")[2].partition("/")[0]
        if identity not in self.identities:
            raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
        if handler.headers.get("X-Amz-Security-Token") != self.identities[identity]:
            raise Refusal("ExpiredTokenException", "The security token included in the request is expired", 403)
        signed = time.mktime(time.strptime(handler.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")) - time.timezone
        if abs(signed - time.time() - self.clock) > 300:
            raise Refusal("InvalidSignatureException", "Signature expired", 403)

    def _secret(self, name, deleted=False):
        secret = self.secrets.get(name)
        if secret is None:
            raise Refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        if secret["deleted"] is not None and not deleted:
            raise Refusal("InvalidRequestException", "You can't perform this operation on the secret because it was marked for "
                          "deletion.")
        return secret

    def _ListSecrets(self, asked, name):
        prefix = asked.get("Filters", [{"Values": [""]}])[0]["Values"][0]
        names = sorted(n for n, s in self.secrets.items()
                       if s["deleted"] is None and n.startswith(prefix) and n not in self.unlisted)
        start, size = int(asked.get("NextToken", 0)), min(asked["MaxResults"], self.page)
        reply = {"SecretList": [{"Name": n, "ARN": f"arn:aws:secretsmanager:{REGION}:111122223333:secret:{n}-AbCdEf",
                                 "CreatedDate": self.secrets[n]["created"], "LastChangedDate": self.secrets[n]["changed"]}
                                for n in names[start:start + size]]}
        if start + size < len(names):
            reply["NextToken"] = str(start + size)
        return reply

    def _GetSecretValue(self, asked, name):
        secret = self._secret(name)
        if self.unread[name] > 0:
            self.unread[name] -= 1
            raise Refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return {"Name": name, "SecretString": secret["value"], "CreatedDate": secret["created"]}

    def _DescribeSecret(self, asked, name):
        secret = self._secret(name, deleted=True)
        reply = {"Name": name, "CreatedDate": secret["created"], "LastChangedDate": secret["changed"]}
        if secret["deleted"] is not None:
            reply["DeletedDate"] = secret["deleted"]
        return reply

    def _CreateSecret(self, asked, name):
        token, value = asked["ClientRequestToken"], asked["SecretString"]
        if self.tokens.get(token) == (name, value):
            return {"Name": name}
        secret = self.secrets.get(name)
        if secret is not None and secret["deleted"] is not None:
            raise Refusal("InvalidRequestException", "You can't create this secret because a secret with this name is already "
                          "scheduled for deletion.")
        if secret is not None:
            raise Refusal("ResourceExistsException", "The operation failed because the secret already exists.")
        self.tokens[token] = (name, value)
        self.put(name, value.encode())
        return {"Name": name}

    def _PutSecretValue(self, asked, name):
        secret = self._secret(name)
        secret["value"], secret["changed"] = asked["SecretString"], time.time()
        return {"Name": name}

    def _DeleteSecret(self, asked, name):
        if asked.get("ForceDeleteWithoutRecovery"):
            self.secrets.pop(name, None)
            return {"Name": name}
        self._secret(name)["deleted"] = time.time() + 86400 * asked["RecoveryWindowInDays"]
        return {"Name": name}

    # ---- who we are ----

    def identity(self, session=True, seconds=3600):
        """A new set of temporary credentials, as the metadata services give them."""
        key, token = "ASIA" + uuid.uuid4().hex[:16].upper(), "session-" + uuid.uuid4().hex if session else None
        self.identities[key] = token
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        return {"Code": "Success", "AccessKeyId": key, "SecretAccessKey": base64.b64encode(uuid.uuid4().bytes).decode(),
                "Token": token, "Expiration": expires}

    def serve_sts(self, handler, body):
        form = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
        with self.lock:
            self.calls[form["Action"]] += 1
            self.seen.append((form["Action"], dict(handler.headers), body))
            if form["Action"] not in self.sts:
                return handler.answer(400, b"<ErrorResponse><Error><Code>InvalidAction</Code><Message>no</Message></Error>"
                                      b"</ErrorResponse>")
            status, text = self.sts[form["Action"]](form, handler)
        return handler.answer(status, text.encode())

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
