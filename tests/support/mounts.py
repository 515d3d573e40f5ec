# SPDX-License-Identifier: Apache-2.0
"""A kesfs mount, from start to the last look at what it logged."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

from . import grave, programs
from .waiting import PATIENCE, wait_until


def mounted(path):
    """The (type, source) of what is mounted exactly there, or None.  Asks the mount table, never the mount."""
    wanted = os.path.abspath(path)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields, _, rest = line.partition(" - ")
            place = fields.split()[4].encode("latin-1", "surrogateescape").decode("unicode_escape")
            if place == wanted:
                kind, source = rest.split()[:2]
                return kind, source
    return None


def unmount(path):
    """Lazily, by whatever works here; no error if nothing is mounted."""
    for _ in range(8):
        if mounted(path) is None:
            return
        for command in (["umount", "-l", path], ["fusermount3", "-u", "-z", path]):
            if subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0:
                break
        else:
            time.sleep(0.1)


class MountFailed(AssertionError):
    """kesfs ended instead of mounting: .status, .err."""

    def __init__(self, result):
        super().__init__(f"kesfs did not mount: {result}")
        self.result, self.status, self.err = result, result.status, result.err


class Mount:
    """One kesfs process serving one mount point.

    path        the mount point; "/" works on it: (m / "my-key").read_bytes()
    process     the Popen of kesfs -f, or of the parent that forked (daemon=True); pid: the serving process
    log         what it has said so far
    """

    def __init__(self, programs_, path, arguments, daemon, env, command):
        self.programs, self.path, self.daemon = programs_, pathlib.Path(path), daemon
        self.made = not os.path.lexists(self.path) and mounted(self.path) is None     # a dead mount cannot be asked
        if self.made:
            self.path.mkdir()
        self.killed = self.over = False
        argv = list(command or [programs_.kesfs]) + ([] if daemon else ["-f"]) + list(arguments) + [self.path]
        self.process = programs_.start(argv, env=env)
        self.pid = self.process.pid
        self._entry = programs_.started[-1]

    def wait_ready(self):
        if self.daemon:
            result = self.programs.finish(self.process)
            if result.status:
                self.over = True
                raise MountFailed(result)
            self.parent_result = result
            self.pid = _serving(self.path, self.programs.kesfs.name)
            return self
        wait_until(lambda: self.process.poll() is not None or mounted(self.path), f"a mount on {self.path}")
        if self.process.poll() is not None and not mounted(self.path):
            self.over = True
            raise MountFailed(self.programs.finish(self.process))
        return self

    def __truediv__(self, name):
        return self.path / name

    def __fspath__(self):
        return str(self.path)

    __str__ = __fspath__

    @property
    def log(self):
        if self.daemon or self._entry[2].closed:
            return getattr(self, "_log", "")
        return os.pread(self._entry[2].fileno(), 64 << 20, 0).decode("utf-8", "backslashreplace")

    def wait_log(self, text):
        """Wait until the log contains text; returns the first line that does."""
        return wait_until(lambda: next((line for line in self.log.splitlines() if text in line), None),
                          f"'{text}' in the log of {self.path}")

    def status(self):
        """The answer of .kesfs/status; a list of them for a mount of several stores is the test's to ask."""
        return json.loads((self.path / ".kesfs/status").read_text())

    def refresh(self):
        """List again now."""
        (self.path / ".kesfs/refresh").read_bytes()

    def alive(self):
        return _alive(self.pid) if self.daemon else self.process.poll() is None

    def send(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """SIGKILL.  The mount stays, dead."""
        self.killed = True
        self.send(signal.SIGKILL)
        self._wait_gone()

    def stop(self, number=signal.SIGTERM):
        """Ask it to end, wait, and return its exit status."""
        self.send(number)
        self._wait_gone()
        return self._finish()

    def unmount(self):
        """fusermount3 -u (umount as root), wait for the process to end, and return its exit status."""
        command = ["umount", self.path] if os.geteuid() == 0 else ["fusermount3", "-u", self.path]
        done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
        assert done.returncode == 0, f"unmounting {self.path}: {done.stderr.decode()}"
        self._wait_gone()
        return self._finish()

    def _wait_gone(self):
        if self.daemon:
            wait_until(lambda: not _alive(self.pid), f"the end of kesfs {self.pid}")
        else:
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"kesfs {self.pid} did not end; its log:\n{self.log[-4000:]}") from None

    def _finish(self):
        """Take the log, judge it; the exit status, or None of a daemon."""
        if self.over:
            return None
        self.over = True
        if self.daemon:
            return None
        self._log = self.log
        result = self.programs.finish(self.process, check=not self.killed)
        if self.killed:
            self.programs.planted.check(self._log, f"the log of {self.path}")
        return result.status

    def end(self):
        """Teardown: whatever happened, no mount and no process is left."""
        trouble = None
        if not self.over:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGCONT)
        unmount(self.path)
        if not self.over:
            try:
                self._wait_gone()
            except AssertionError as error:
                trouble = error
                self.killed = True
                with contextlib.suppress(ProcessLookupError):
                    self.send(signal.SIGKILL)
                with contextlib.suppress(AssertionError):
                    self._wait_gone()
            self._finish()
        unmount(self.path)
        if self.made:
            with contextlib.suppress(OSError):
                self.path.rmdir()
        if trouble:
            raise trouble

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.end()


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _serving(path, program):
    """The process whose command line ends in this mount point."""
    def find():
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")[:-1]
                    if words and os.fsencode(path) in words and words[0].endswith(program.encode()) and _alive(entry):
                        return int(entry)
        return None
    return wait_until(find, f"a process that serves {path}")


class Mounts:
    """The `mount` fixture: mount(config, ...) gives a Mount that is ready.

        with mount(store.config, "-o", "overwrite") as m:
            assert os.listdir(m) == [...]

    Without `with` the end of the test unmounts.  at: the mount point (default: a new directory); daemon=True: let
    kesfs fork and go to the background; env: more environment; command: instead of the kesfs program; wait=False:
    return at once (then m.wait_ready() is the test's own)."""

    def __init__(self, programs_, place):
        self.programs, self.place, self.all = programs_, pathlib.Path(place), []

    def __call__(self, *arguments, at=None, daemon=False, env=None, command=None, wait=True):
        path = at or self.place / f"mnt{len(self.all)}"
        m = Mount(self.programs, path, [str(part) for part in arguments], daemon, env, command)
        self.all.append(m)
        return m.wait_ready() if wait else m

    def end(self):
        troubles = []
        for m in reversed(self.all):
            try:
                m.end()
            except AssertionError as error:
                troubles.append(error)
        self.all.clear()
        for error in troubles:
            if isinstance(error, grave.Grave):
                raise error
        if troubles:
            raise troubles[0]


def leftovers(base, mark):
    """Sentences on mounts below base and processes with this session's mark that are still there; ends them."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        places = [line.split()[4] for line in table if any(line.split()[4].startswith(str(b)) for b in base)]
    for place in reversed(places):
        found.append(f"still mounted: {place}")
        unmount(place)
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            environ = pathlib.Path(f"/proc/{entry}/environ").read_bytes()
            if f"{programs.SESSION_MARK}={mark}".encode() in environ.split(b"\0") and _alive(entry):
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"still running: {entry} {words}")
                os.kill(int(entry), signal.SIGKILL)
    return found
