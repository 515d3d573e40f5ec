# SPDX-License-Identifier: Apache-2.0
"""Real programs of others that the tests run against: built by tests/peers/build.sh, found here."""
import functools
import subprocess

import pytest

from .programs import TOP


@functools.cache
def find(name):
    """The path of a peer ("kes", "vault", "toxiproxy"), or None if it is not built."""
    done = subprocess.run([TOP / "tests/peers/build.sh", "--find", name], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def need(name):
    """The path of a peer; skips the test if it is not there."""
    path = find(name)
    if path is None:
        pytest.skip(f"{name} is not built (tests/peers/build.sh {name})")
    return path
