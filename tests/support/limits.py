# SPDX-License-Identifier: Apache-2.0
"""A limit on the time of each test, since a hung file system hangs whoever touches it.

First SIGALRM raises in the test.  A reader stuck in the kernel does not even hear that: then a thread kills the
processes that serve the test's mounts, which frees him.  If nothing helps, the whole run ends with all stacks shown."""
import faulthandler
import os
import signal
import threading

import pytest

SECONDS = 120.0


class TooLong(pytest.fail.Exception):
    """No AssertionError: whoever polls takes those for "not yet"."""


class Limit:
    def __init__(self, seconds, rescue):
        self.seconds = seconds * float(os.environ.get("KESFS_TEST_SLOWNESS", "1"))
        self.rescue = rescue

    def __enter__(self):
        def too_long(number, frame):
            raise TooLong(f"the test took more than {self.seconds:.0f} s")
        signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        self.timer = threading.Timer(self.seconds + 10, self.rescue)
        self.timer.daemon = True
        self.timer.start()
        faulthandler.dump_traceback_later(self.seconds + 90, exit=True)

    def __exit__(self, kind, value, trace):
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.timer.cancel()
        faulthandler.cancel_dump_traceback_later()
