# SPDX-License-Identifier: Apache-2.0
"""Kill something at random moments, many times."""
import os
import random
import time


class Rounds:
    """for round_ in rounds: ... rounds.wait(full, process) ... kill it: rounds.wait() lets a process that takes full
    seconds undisturbed run for a random part of them."""

    LEAST, LONG = 3, 200

    def __init__(self, long):
        self.long = long
        self.seconds = float(os.environ.get("KESFS_TEST_CRASH_SECONDS", "4"))
        self.seed = int.from_bytes(os.urandom(4), "big")
        self.random = random.Random(self.seed)
        self.done = 0

    def __iter__(self):
        began = time.monotonic()
        while self.done < self.LONG and (self.long or self.done < self.LEAST or
                                         time.monotonic() - began < self.seconds):
            self.done += 1
            yield self

    def wait(self, full, process):
        end = time.monotonic() + self.random.uniform(0, full * 1.1)
        while time.monotonic() < end and process.poll() is None:
            time.sleep(min(0.0005, max(0.0, end - time.monotonic())))

    def __repr__(self):
        return f"round {self.done}, seed {self.seed}"
