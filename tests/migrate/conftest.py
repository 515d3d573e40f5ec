# SPDX-License-Identifier: Apache-2.0
"""What the tests of kesfs-migrate share.

    sides       (a, b): a source with three keys and an empty target
    faulty      programs.run of kesfs-migrate-fault: faulty(rules, "--from", a, ...) (tests/fault/README.md)
    objects     the JSON objects of a Result
    terminal    kesfs-migrate on a pseudo terminal"""
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from tests.support.waiting import PATIENCE, wait_until


@pytest.fixture
def sides(store, keys):
    return store("a", {"alpha": keys.a(), "beta": keys.b(), "gamma": keys.a()}), store("b")


@pytest.fixture
def program(programs):
    return programs.build / "tests/fault/kesfs-migrate-fault"


@pytest.fixture
def faulty(programs, program):
    def run(rules, *arguments, **how):
        return programs.run(program, *arguments, env={"KESFS_FAULT": rules}, **how)
    return run


class Held:
    """kesfs-migrate-fault in the background, with calls held as long as the file `hold` exists, and its call log."""

    def __init__(self, programs, program, tmp, rules, arguments, **how):
        self.programs = programs
        place = pathlib.Path(tempfile.mkdtemp(dir=tmp)) if (tmp / "calls").exists() else tmp
        self.hold, self.calls = place / "hold", place / "calls"
        self.hold.touch()
        self.calls.touch()
        env = {"KESFS_FAULT": rules.replace("HOLD", f"hold={self.hold}"), "KESFS_FAULT_LOG": str(self.calls)}
        self.process = programs.start([program, *arguments], env=env, **how)

    def count(self, line):
        return self.calls.read_text().splitlines().count(line)

    def wait_call(self, line, times=1):
        """Until the log has this line, so often: "begin create my-key 0"."""
        wait_until(lambda: self.count(line) >= times or self.process.poll() is not None, line)
        assert self.count(line) >= times, self.finish()

    def wait_said(self, text):
        entry = next(entry for entry in self.programs.started if entry[0] is self.process)
        wait_until(lambda: text in os.pread(entry[2].fileno(), 1 << 20, 0).decode(), text)

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.programs.finish(self.process, check=False)

    def release(self):
        self.hold.unlink()
        return self

    def finish(self):
        return self.programs.finish(self.process)


@pytest.fixture
def held(programs, program, tmp):
    def start(rules, *arguments, **how):
        return Held(programs, program, tmp, rules, arguments, **how)
    return start


@pytest.fixture
def objects():
    def parse(result):
        found = [json.loads(line) for line in result.lines]
        assert all(o["schema"] == 1 for o in found)
        return found
    return parse


class Terminal:
    """A program whose stdin, stdout and stderr are one terminal of 100 columns."""

    def __init__(self, argv, env):
        self.master, slave = pty.openpty()
        self.text = ""
        os.set_blocking(self.master, False)
        self.process = subprocess.Popen([str(part) for part in argv], stdin=slave, stdout=slave, stderr=slave, env=env,
                                        start_new_session=True)
        os.close(slave)

    def read(self):
        try:
            while select.select([self.master], [], [], 0)[0]:
                self.text += os.read(self.master, 65536).decode()
        except OSError:
            pass                        # the other side is closed
        return self.text

    def wait(self, text):
        wait_until(lambda: text in self.read(), f"'{text}' on the terminal")

    def type(self, text):
        os.write(self.master, text.encode())

    def finish(self):
        """The exit status as a shell shows it."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self.read()
            time.sleep(0.01)
        self.read()
        assert self.process.poll() is not None, f"still running: {self.text}"
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(programs, program):
    started = []

    def start(*arguments, rules=None):
        env = programs.environment({"KESFS_FAULT": rules} if rules else None)
        started.append(Terminal([program if rules else programs.kesfs_migrate, *arguments], env))
        return started[-1]
    yield start
    for t in started:
        t.end()
        programs.planted.check(t.text, "a terminal")


@pytest.fixture
def unprivileged():
    """Words to put before a command, so that permissions apply to it although root runs the tests."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("run as root, and setpriv cannot take the privilege to ignore permissions away")
    return words


@pytest.fixture
def manual(programs):
    return pathlib.Path(__file__).resolve().parents[2] / "docs/man/kesfs-migrate.1"
