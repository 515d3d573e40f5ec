# SPDX-License-Identifier: Apache-2.0
"""A file system that gets full: a tmpfs of its own size."""
import contextlib
import os
import subprocess

import pytest

from .mounts import unmount

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextlib.contextmanager
def tmpfs(path, options):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{options},mode=700", "kesfs-test", path], check=True)
    try:
        yield path
    finally:
        unmount(path)
        path.rmdir()


def resize(path, options):
    subprocess.run(["mount", "-o", f"remount,{options}", path], check=True)
