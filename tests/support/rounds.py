# SPDX-License-Identifier: Apache-2.0
"""Kill something at random moments, many times."""
import os
import random
import time


class Rounds:
    """for moment in Rounds(request): as many rounds as the time allows ($KESFS_TEST_CRASH_SECONDS for a test; 4 if
    unset, 200 rounds with --long).  moment(full) is a random time within a run that takes full seconds undisturbed."""

    def __init__(self, request, least=3):
        long = request.config.getoption("--long") or request.config.getoption("--only-long")
        self.seconds = None if long else float(os.environ.get("KESFS_TEST_CRASH_SECONDS", "4"))
        self.most = 200 if long else 10000
        self.least = least
        self.seed = int.from_bytes(os.urandom(4), "big")
        self.random = random.Random(self.seed)
        self.done = 0

    def __iter__(self):
        began = time.monotonic()
        while self.done < self.most and (self.done < self.least or self.seconds is None or
                                         time.monotonic() - began < self.seconds):
            self.done += 1
            yield self

    def wait(self, full, process):
        """Let it run for a random part of the time; less often until it ends by itself."""
        end = time.monotonic() + self.random.uniform(0, full * 1.1)
        while time.monotonic() < end and process.poll() is None:
            time.sleep(min(0.0005, max(0.0, end - time.monotonic())))

    def __repr__(self):
        return f"round {self.done}, seed {self.seed}"
