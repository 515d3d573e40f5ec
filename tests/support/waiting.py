# SPDX-License-Identifier: Apache-2.0
"""Wait for a condition, never for a time."""
import os
import time

SLOWNESS = float(os.environ.get("KESFS_TEST_SLOWNESS", "1"))
PATIENCE = 30.0 * SLOWNESS


def wait_until(condition, what, patience=PATIENCE, pause=0.02):
    """Poll condition() until it gives something true, and return that; fail naming what after a generous while.
    An OSError or AssertionError of condition() counts as "not yet"."""
    end = time.monotonic() + patience
    while True:
        reason = ""
        try:
            value = condition()
            if value:
                return value
        except (OSError, AssertionError) as error:
            reason = f" (last: {error})"
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:.0f} s for: {what}{reason}")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.25)
