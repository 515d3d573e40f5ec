# SPDX-License-Identifier: Apache-2.0
"""A real Vault cluster on loopback: integrated storage, one leader, the others standbys.

    cluster = vault_cluster()                       # three; vault_cluster(redirect=True): standbys that answer 307
    engine = vault_engine(2, vault=cluster)         # the tests' own requests go to the leader, whoever that is
    migrate("--from", ..., "--to", engine.config(endpoint=cluster.standbys()[0].endpoint))
    cluster.kill_leader(); cluster.step_down()
"""
import http.client
import pathlib
import time

from . import net
from .vault import ROOT, Api, Vault
from .waiting import PATIENCE, wait_until


class Node(Vault):
    open_states = (200, 429)

    def __init__(self, place, number, redirect, tls):
        super().__init__(place, storage=pathlib.Path(place) / "data", tls=tls)
        self.name, self.redirect, self.cluster_port = f"node-{number}", redirect, net.free_port()
        self.storage.mkdir()

    def arguments(self):
        more = ["-raft", self.name, "-cluster", f"127.0.0.1:{self.cluster_port}"]
        return super().arguments() + more + (["-redirect"] if self.redirect else [])

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def is_leader(self):
        return self.alive() and self.call("GET", "sys/leader", token=None)[1].get("is_self", False)


class Joining(Node):
    """One that finds its cluster before it is unsealed."""

    def __init__(self, *how, first):
        super().__init__(*how)
        self.first = first

    def open(self):
        if self.unseal_key is None:
            self.unseal_key, self.root = self.first.unseal_key, self.first.root
            ca = {"leader_ca_cert": self.tls.ca.read_text()} if self.tls else {}
            self.api("POST", "sys/storage/raft/join", {"leader_api_addr": self.first.endpoint, **ca}, token=None)
        self.unseal()


class Cluster(Api):
    def __init__(self, place, size=3, redirect=False, tls=None):
        self.tls, self.nodes = tls, []
        for number in range(size):
            folder = pathlib.Path(place) / f"node-{number}"
            folder.mkdir()
            how = (folder, number, redirect, tls)
            self.nodes.append(Joining(*how, first=self.nodes[0]) if self.nodes else Node(*how))

    @property
    def root(self):
        return self.nodes[0].root

    @property
    def endpoint(self):
        return self.leader().endpoint

    def start(self):
        for node in self.nodes:
            node.start()
            if node is self.nodes[0]:
                self.api("POST", "sys/storage/raft/autopilot/configuration", {"server_stabilization_time": "1s"})
        # A new node first takes over what there is; only a voter can become the leader.
        wait_until(lambda: len(self.standbys()) == len(self.nodes) - 1 and self._voters() == len(self.nodes),
                   "every standby to be one")
        return self

    def _voters(self):
        servers = self.api("GET", "sys/storage/raft/configuration")["data"]["config"]["servers"]
        return sum(server["voter"] for server in servers)

    def leader(self):
        def found():
            return next((node for node in self.nodes if node.is_leader()), None)
        return wait_until(found, "a leader")

    def standbys(self):
        """Those that know who leads."""
        leader = self.leader()
        return [node for node in self.nodes if node is not leader and node.alive() and
                node.call("GET", "sys/leader", token=None)[1].get("leader_address") == leader.endpoint]

    def call(self, method, path, body=None, token=ROOT):
        """By the leader; when that one goes, by the next."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                status, reply = self.leader().call(method, path, body, self.root if token == ROOT else token)
            except (OSError, http.client.HTTPException):
                status, reply = 500, {}
            away = status in (307, 500, 503)
            if not away or time.monotonic() > end:
                return status, reply
            time.sleep(0.2)

    def step_down(self):
        self.leader().api("PUT", "sys/step-down")

    def kill_leader(self):
        leader = self.leader()
        leader.kill()
        return leader

    def stop(self):
        for node in self.nodes:
            node.stop()
