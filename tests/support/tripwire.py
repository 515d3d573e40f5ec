# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of a server, at which something happens when a chosen request passes: "in the middle of a run" without
luck.

    wire = tripwire(vault.port)
    wire.at(b"PUT /v1/", 20, vault.seal)            # before the 20th such request goes on to the server
    wire.at(b"PUT /v1/", 20, wire.lose_answer)      # it goes on, its answer does not come back
    migrate(..., engine.config(endpoint=wire.endpoint))
    assert wire.tripped
"""
import select
import socket
import threading


class Tripwire:
    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.rules = []                 # [bytes, left, action]
        self.tripped = 0
        self.seen = []                  # the first line of every request
        self.open = []                  # sockets
        self.deaf, self.over = False, False
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def at(self, begin, number, action):
        """When the number-th request from now that begins so comes by: action(), or action(pair) for one of ours."""
        self.rules.append([begin, number, action])
        return self

    # Actions on the connection that tripped the wire.
    def lose_answer(self, pair):
        """The request goes on to the server; when its answer comes, both sides are closed."""
        pair.lose = True

    def reset(self, pair):
        """The request does not go on; the connection is reset."""
        pair.close()
        return False

    def fall_silent(self, pair):
        """From now on nothing passes on any connection, and new ones are taken but not served; until heal()."""
        self.deaf = True

    def heal(self):
        self.deaf = False
        for pair in list(self.open):
            pair.close()

    def _accept(self):
        while not self.over:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            pair = Pair(self, client)
            with self.lock:
                self.open.append(pair)
            thread = threading.Thread(target=pair.run, daemon=True)
            thread.start()

    def passing(self, pair, data):
        """False: do not forward."""
        end = data.find(b"\r\n")
        line = data[:end] if end > 0 and data[:end].endswith(b"HTTP/1.1") else None
        if line is None:
            return True
        with self.lock:
            self.seen.append(line)
            hit = None
            for rule in self.rules:
                if line.startswith(rule[0]):
                    rule[1] -= 1
                    if rule[1] == 0:
                        hit = rule[2]
                        self.tripped += 1
        if hit is None:
            return True
        return (hit(pair) if getattr(hit, "__self__", None) is self else hit()) is not False

    def end(self):
        self.over = True
        self.listener.close()
        for pair in list(self.open):
            pair.close()


class Pair:
    """One connection of a client, and ours to the server."""

    def __init__(self, wire, client):
        self.wire, self.client, self.server, self.lose = wire, client, None, False

    def close(self):
        for end in (self.client, self.server):
            if end is not None:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()

    def run(self):
        try:
            self.server = socket.create_connection(("127.0.0.1", self.wire.port))
            for end in (self.client, self.server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._step():
                pass
        except (OSError, ValueError):
            pass
        self.close()
        with self.wire.lock:
            if self in self.wire.open:
                self.wire.open.remove(self)

    def _step(self):
        ready = select.select([self.client, self.server], [], [], 0.5)[0]
        if self.wire.deaf:
            return not self.wire.over
        if self.client in ready:
            data = self.client.recv(65536)
            if not data:
                return False
            if self.wire.passing(self, data):
                self.server.sendall(data)
        if self.server in ready:
            data = self.server.recv(65536)
            if not data or self.lose:
                return False
            self.client.sendall(data)
        return True
