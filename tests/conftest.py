# SPDX-License-Identifier: Apache-2.0
"""Fixtures for every test.  In short:

    def test_a_copied_key_is_the_same(store, mount, keys):
        a = store("a", {"my-key": keys.a()})           # a directory, a.path, and a KES configuration, a.config
        with mount(a.config, "-o", "ro") as m:         # kesfs -f -o ro a.yml MOUNTPOINT; ready when it returns
            assert (m / "my-key").read_bytes() == a.value("my-key")

    programs      programs.run(...), programs.migrate(...), programs.start(...)     support/programs.py
    migrate       programs.migrate: migrate("--from", a.config, "--to", b.config).expect(0)
    mount         support/mounts.py
    store         a maker of directory stores: store(name, {key: value}, place=tmp)  support/stores.py
    keys          a maker of key values: keys.a(), keys.b(), keys.many(100)          support/values.py
    planted       planted.plant("secret"): must not be in any output                 support/grave.py
    tmp, disk     an empty directory of the test's own on tmpfs, on a real disk
    kes           a maker of running KES servers (needs the peer)                    support/kes.py
    wait_until    wait_until(condition, "what"): poll with a generous deadline       support/waiting.py

Markers: long (only with --long), peers (needs programs that tests/peers/build.sh builds), limit(seconds) instead of
the 120 s that a test may take.  Whatever a test leaves, mounts and processes, is cleaned up; what is left in spite
of that at the end of the run fails the run, and so does any sanitizer report or key byte in output."""
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tests.support import grave, limits, mounts as mounts_, programs as programs_, stores, values  # noqa: E402
from tests.support.waiting import wait_until as wait_until_  # noqa: E402

MARK = uuid.uuid4().hex
BASES = []          # the directories of this run, on tmpfs and on disk
CURRENT = []        # the Programs and Mounts of the running test, for the rescue


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also the tests that take long")
    parser.addoption("--only-long", action="store_true", help="only the tests that take long")
    parser.addoption("--no-peers", action="store_true", help="leave out what needs real servers of others")
    parser.addoption("--report", metavar="FILE", help="write outcomes as JSON (for tests/run)")


def pytest_configure(config):
    # A run started by nohup or "&" ignores SIGINT, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGTERM):      # ends like Ctrl-C, so that nothing stays mounted
        signal.signal(number, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    os.environ[programs_.SESSION_MARK] = MARK
    os.umask(0o022)
    for line in ("long: takes long; only with --long", "peers: needs real servers of others, tests/peers/build.sh",
                 "limit(seconds): may take so long instead of 120 s"):
        config.addinivalue_line("markers", line)
    config._outcomes = {"passed": [], "failed": {}, "skipped": {}}


def pytest_collection_modifyitems(config, items):
    def wanted(item):
        is_long = item.get_closest_marker("long") is not None
        if item.get_closest_marker("peers") and config.getoption("--no-peers"):
            return False
        if config.getoption("--only-long"):
            return is_long
        return not is_long or config.getoption("--long") or _named(config, item)
    dropped = [item for item in items if not wanted(item)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if wanted(item)]


def _named(config, item):
    """Given on the command line one by one: that is wish enough, long or not."""
    return any("::" in argument and item.nodeid.endswith(argument.split("tests/", 1)[-1]) for argument in config.args)


def _rescue():
    for owner in CURRENT:
        if isinstance(owner, mounts_.Mounts):
            for m in owner.all:
                if not m.over and m.alive():
                    os.kill(m.pid, signal.SIGKILL)


def _limited(item):
    marker = item.get_closest_marker("limit")
    return limits.Limit(marker.args[0] if marker else limits.SECONDS, _rescue)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    with _limited(item):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    with _limited(item):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    with _limited(item):
        yield


def _base(parent):
    path = pathlib.Path(tempfile.mkdtemp(prefix="kesfs-", dir=parent))
    BASES.append(path)
    return path


@pytest.fixture(scope="session")
def _tmpfs():
    """Here rather than below /tmp, which may be a disk; without /dev/shm the default place has to do."""
    return _base("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


@pytest.fixture(scope="session")
def _on_disk():
    return _base(os.environ.get("KESFS_TEST_DISK", "/var/tmp"))


def _own(base, request):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:40]
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))
    path.chmod(0o755)
    return path


def _remove(path):
    def reason(function, name, error):
        os.chmod(os.path.dirname(name), 0o700)
        os.chmod(name, 0o700)
        function(name)
    shutil.rmtree(path, onerror=lambda *a: _quietly(reason, *a))


def _quietly(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        pass


@pytest.fixture
def tmp(_tmpfs, request):
    path = _own(_tmpfs, request)
    yield path
    _remove(path)


@pytest.fixture
def disk(_on_disk, request):
    path = _own(_on_disk, request)
    yield path
    _remove(path)


@pytest.fixture
def planted():
    return grave.Planted()


@pytest.fixture
def keys(planted):
    return values.Keys(planted)


@pytest.fixture
def store(tmp):
    def make(name="store", keys=None, place=None):
        return stores.Store(place or tmp, name, keys)
    return make


@pytest.fixture
def programs(planted, tmp):
    scratch = tmp / ".programs"
    scratch.mkdir()
    owner = programs_.Programs(planted, scratch)
    yield owner
    owner.end()


@pytest.fixture
def migrate(programs):
    return programs.migrate


@pytest.fixture
def mount(programs, tmp):
    owner = mounts_.Mounts(programs, tmp)
    CURRENT.append(owner)
    yield owner
    try:
        owner.end()
    finally:
        CURRENT.remove(owner)


@pytest.fixture
def kes(programs, tmp):
    from tests.support import kes as kes_
    owner = kes_.Servers(programs, tmp)
    yield owner
    owner.end()


@pytest.fixture
def wait_until():
    return wait_until_


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    outcomes = item.config._outcomes
    if report.failed:
        outcomes["failed"][report.nodeid] = grave.MARK in str(report.longrepr)
    elif report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        outcomes["skipped"][report.nodeid] = reason.removeprefix("Skipped: ")
    elif report.when == "call":
        outcomes["passed"].append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    outcomes = session.config._outcomes
    outcomes["leftovers"] = mounts_.leftovers(BASES, MARK)
    for line in outcomes["leftovers"]:
        sys.stderr.write(f"\nleft over at the end of the run: {line}\n")
    for path in BASES:
        shutil.rmtree(path, ignore_errors=True)
    outcomes["passed"] = [name for name in outcomes["passed"] if name not in outcomes["failed"]]
    outcomes["status"] = int(exitstatus)
    if outcomes["leftovers"] and exitstatus in (0, 5):
        session.exitstatus = 1
    if session.config.getoption("--report"):
        pathlib.Path(session.config.getoption("--report")).write_text(json.dumps(outcomes))
