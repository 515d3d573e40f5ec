# SPDX-License-Identifier: Apache-2.0
"""Loopback only."""
import socket


def free_port():
    """A TCP port on 127.0.0.1 that nobody listens on now.  For servers that cannot take port 0; start them with a
    retry, since another process may be quicker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
