# SPDX-License-Identifier: Apache-2.0
"""What must never be in the output of our programs, whatever a test is about: reports of sanitizers, crashes, key
bytes.  Such a failure is grave: no second try makes it good."""
import re
import signal

MARK = "GRAVE: "
SANITIZER = re.compile(
    r"ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error: |"
    r"SUMMARY: \w+Sanitizer|AddressSanitizer:DEADLYSIGNAL|\*\*\* (stack smashing|buffer overflow) detected|"
    r"(double free or corruption|free\(\): invalid|malloc\(\): )|Assertion .* failed")
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP}


class Grave(AssertionError):
    """The message begins with MARK: conftest.py and tests/run look for that."""

    def __init__(self, text):
        super().__init__(MARK + text)


class Planted:
    """The secrets that this test has made.  check() looks for them in what our programs said."""

    LIMIT = 400

    def __init__(self):
        self.needles = []

    def plant(self, *needles):
        """Remember strings (or bytes) that must not appear in any output."""
        for needle in needles:
            if isinstance(needle, bytes):
                needle = needle.decode("latin-1")
            if len(needle) >= 8 and len(self.needles) < self.LIMIT:
                self.needles.append(needle)

    def check(self, text, where):
        """text: bytes or str of our programs' output."""
        if isinstance(text, bytes):
            text = text.decode("latin-1")
        report = SANITIZER.search(text)
        if report:
            raise Grave(f"sanitizer report in {where}:\n{text[max(0, report.start() - 500):report.start() + 6000]}")
        for needle in self.needles:
            if needle in text:
                line = next(line for line in text.splitlines() if needle in line) if "\n" not in needle else text
                raise Grave(f"key bytes in {where}: {line.replace(needle, '<the secret>')[:300]}")


def check_crash(returncode, where):
    """returncode as subprocess gives it: negative for a signal."""
    if returncode is not None and returncode < 0 and -returncode in CRASHES:
        raise Grave(f"{where} died of {signal.Signals(-returncode).name}")
