# SPDX-License-Identifier: Apache-2.0
"""Delay between a client and a server, by toxiproxy."""
import http.client
import json
import subprocess

from . import net, peers
from .waiting import wait_until


class Toxiproxy:
    """A proxy in front of 127.0.0.1:port.  endpoint: where to go instead; delay(ms): of a round trip."""

    def __init__(self, place, port):
        self.control = net.free_port()
        with open(place / f"toxiproxy-{self.control}.log", "wb") as log:
            self.process = subprocess.Popen([peers.need("toxiproxy"), "-port", str(self.control)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: net.listening(self.control), "toxiproxy to listen")
        made = self._call("POST", "/proxies", {"name": "p", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}",
                                               "enabled": True})
        self.endpoint = f"http://{made['listen']}"
        self.names = []

    def _call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.control, timeout=30)
        connection.request(method, path, None if body is None else json.dumps(body))
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        assert reply.status < 300, f"toxiproxy: {reply.status} {text}"
        return json.loads(text) if text else None

    def toxic(self, kind, stream="downstream", toxicity=1.0, **attributes):
        self.names.append(self._call("POST", "/proxies/p/toxics", {
            "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes})["name"])

    def delay(self, milliseconds):
        for stream in ("upstream", "downstream"):
            self.toxic("latency", stream, latency=milliseconds // 2)

    def heal(self):
        for name in self.names:
            self._call("DELETE", f"/proxies/p/toxics/{name}")
        self.names.clear()

    def stop(self):
        self.process.kill()
        self.process.wait()
