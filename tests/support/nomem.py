# SPDX-License-Identifier: Apache-2.0
"""Programs that get no memory: one allocation that fails (tests/nomem), or an address space that ends."""
import os
import struct

import pytest

needs_own_allocator = pytest.mark.skipif(bool(os.environ.get("KESFS_TEST_SANITIZED")),
                                         reason="a sanitizer has an allocator of its own, and needs a large address space")
MANY = 1 << 40


class Failing:
    """failing.environment() goes into a program, failing.arm(n) lets the n-th allocation from now on fail."""

    def __init__(self, programs, place):
        self.file = place / "nomem"
        self.library = programs.build / "tests/nomem/libnomem.so"
        self.arm(-1)

    def environment(self):
        return {"LD_PRELOAD": str(self.library), "KESFS_NOMEM": str(self.file)}

    def arm(self, n):
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("q", n))

    def left(self):
        """What is left of n; negative: it has failed."""
        return struct.unpack("q", self.file.read_bytes())[0]

    def count(self, run):
        """How many allocations run() makes."""
        self.arm(MANY)
        run()
        count = MANY - self.left()
        self.arm(-1)
        return count


def chosen(count, every):
    """Which of so many allocations are to fail: the first ones, where each is another place, and some of the rest."""
    return list(range(count)) if every else sorted({*range(min(count, 24)), *range(24, count, max(1, count // 16))})
