# SPDX-License-Identifier: Apache-2.0
"""Our two programs: find them, run them, and judge what they said."""
import os
import pathlib
import select
import subprocess
import tempfile

from . import grave

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SESSION_MARK = "KESFS_TEST_SESSION"     # in the environment of everything the tests start: leftovers are found by it


class Result:
    """status (as a shell shows it: 128 + signal for a death by signal), out, err: text."""

    def __init__(self, argv, returncode, out, err):
        self.argv, self.returncode = argv, returncode
        self.status = returncode if returncode >= 0 else 128 - returncode
        self.out, self.err = out.decode("utf-8", "backslashreplace"), err.decode("utf-8", "backslashreplace")

    @property
    def lines(self):
        return self.out.splitlines()

    def expect(self, status=0):
        """Fail, showing everything, unless it ended with this status (a number or a set of them).  Returns itself."""
        wanted = {status} if isinstance(status, int) else set(status)
        assert self.status in wanted, f"expected status {status}: {self}"
        return self

    def __repr__(self):
        return (f"\n$ {' '.join(map(str, self.argv))}\nstatus {self.status}\n--- stdout\n{self.out[-4000:]}"
                f"--- stderr\n{self.err[-4000:]}---")


class Programs:
    """kesfs and kesfs-migrate of the build in $KESFS_BUILD (default: build/ of the tree)."""

    def __init__(self, planted, scratch):
        self.build = pathlib.Path(os.environ.get("KESFS_BUILD") or TOP / "build").resolve()
        self.kesfs = self.build / "fs/mount/kesfs"
        self.kesfs_migrate = self.build / "fs/migrate/kesfs-migrate"
        self.planted, self.scratch = planted, scratch
        self.started = []               # (Popen, out, err)

    def environment(self, more=None):
        """The environment of a program under test: the caller's, without surprises, and the sanitizers' reports into
        files, since a daemon has no stderr."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("VAULT_", "KES_", "AWS_"))}
        env.update(LC_ALL="C.UTF-8", TZ="UTC")
        report = f"log_path={self.scratch}/sanitizer"
        env["ASAN_OPTIONS"] = f"{report}:abort_on_error=1:handle_abort=0:detect_leaks={_leaks()}"
        env["UBSAN_OPTIONS"] = f"{report}:print_stacktrace=1"
        env["TSAN_OPTIONS"] = f"{report}:halt_on_error=0:second_deadlock_stack=1:atexit_sleep_ms=100"
        suppressions = TOP / "tests/support/lsan.supp"
        if suppressions.exists():
            env["LSAN_OPTIONS"] = f"suppressions={suppressions}:print_suppressions=0"
        env.update(more or {})
        return env

    def start(self, argv, env=None, stdin=subprocess.DEVNULL, **how):
        """Start without waiting.  Output goes to files (a daemon would keep a pipe open): see finish()."""
        out = tempfile.TemporaryFile(dir=self.scratch)
        err = tempfile.TemporaryFile(dir=self.scratch)
        try:
            process = subprocess.Popen([str(part) for part in argv], stdin=stdin, stdout=how.pop("stdout", out),
                                       stderr=how.pop("stderr", err), env=self.environment(env),
                                       start_new_session=how.pop("start_new_session", True), **how)
        except FileNotFoundError as error:
            raise AssertionError(f"{error}: build first: ninja -C {self.build}") from error
        self.started.append((process, out, err))
        return process

    def finish(self, process, timeout=60, check=True):
        """Wait for what start() started, and return its Result."""
        slow = float(os.environ.get("KESFS_TEST_SLOWNESS", "1"))
        entry = next(entry for entry in self.started if entry[0] is process)
        if not ended(process, timeout * slow):
            process.kill()
            process.wait()
            result = self._result(entry)
            raise AssertionError(f"still running after {timeout * slow:.0f} s, killed: {result}")
        self.started.remove(entry)
        result = self._result(entry)
        for file in entry[1:]:
            file.close()
        if check:
            self.check(result)
        return result

    def _result(self, entry):
        process, texts = entry[0], []
        for file in entry[1:]:
            file.seek(0)
            texts.append(file.read())
        return Result(process.args, process.returncode, *texts)

    def check(self, result):
        where = f"the output of {' '.join(map(str, result.argv))}"
        self.planted.check(result.out, where)
        self.planted.check(result.err, where)
        grave.check_crash(result.returncode, where)

    def run(self, *argv, input=None, timeout=60, **how):
        """Run any program to its end and return its Result.  input: text or bytes for its standard input."""
        if input is not None:
            file = tempfile.TemporaryFile(dir=self.scratch)
            file.write(input.encode() if isinstance(input, str) else input)
            file.seek(0)
            how["stdin"] = file
        return self.finish(self.start(argv, **how), timeout)

    def migrate(self, *arguments, **how):
        """kesfs-migrate with these arguments: programs.migrate("--from", a.config, "--to", b.config).expect(0)"""
        return self.run(self.kesfs_migrate, *arguments, **how)

    def end(self):
        """Kill what a test left running, and look at sanitizer reports."""
        for process, out, err in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            out.close()
            err.close()
        self.started.clear()
        for report in pathlib.Path(self.scratch).glob("sanitizer.*"):
            text = report.read_text(errors="replace")
            if text.strip():
                raise grave.Grave(f"sanitizer report:\n{text[:8000]}")


def ended(process, seconds):
    """Wait for it.  Popen.wait() with a timeout looks only every 50 ms, which a benchmark would measure."""
    if process.poll() is None:
        fd = os.pidfd_open(process.pid)
        try:
            over = select.poll()
            over.register(fd, select.POLLIN)
            if not over.poll(seconds * 1000):
                return False
        finally:
            os.close(fd)
        process.wait()
    return True


def _leaks():
    """LeakSanitizer needs ptrace, which does not work under another tracer."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
        return 0 if "TracerPid:\t0\n" not in status else 1
    except OSError:
        return 0
