# SPDX-License-Identifier: Apache-2.0
"""kesfs as a process: the prompt, the background, signals, the log, mount points, mount(8) and fstab."""
import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from tests.support.mounts import MountFailed, mounted, unmount

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def refused(programs, *arguments, status=2):
    """The sentence with which kesfs refuses to mount."""
    result = programs.run(programs.kesfs, *arguments).expect(status)
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("kesfs: "), result
    return lines[0].removeprefix("kesfs: ")


def table_line(path):
    """The options of what is mounted exactly there."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[4] == str(path):
            return line
    return None


def serving(place):
    """The processes that were told to mount there."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                words = os.fsdecode(pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()).split("\0")[:-1]
                start = os.readlink(f"/proc/{entry}/cwd")
                if words and words[0].endswith("kesfs") and os.path.normpath(os.path.join(start, words[-1])) == str(place):
                    found.append(int(entry))
    return found


# --- the prompt ----------------------------------------------------------------------------------------------------

def test_the_command_returns_when_the_mount_stands_and_keeps_no_pipe(mount, programs, store, keys, tmp):
    a = store("a", keys.many(50))
    place = tmp / "mnt"
    place.mkdir()
    try:
        # The pipes reach their end only if the daemon has let go of them.
        done = subprocess.run([programs.kesfs, a.config, place], capture_output=True, timeout=60, check=False,
                              env=programs.environment())
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert sorted(os.listdir(place)) == a.names()
    finally:
        unmount(place)


def test_the_daemon_has_left_terminal_and_session(mount, store):
    m = mount(store().config, daemon=True)
    assert {os.readlink(f"/proc/{m.pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    assert os.getsid(m.pid) == m.pid
    m.unmount()


def test_a_descriptor_that_is_closed_does_not_become_a_store(mount, programs, store, keys):
    a = store("a", {"k": keys.a()})
    m = mount(a.config, command=["sh", "-c", 'exec "$@" <&-', "sh", programs.kesfs])
    assert (m / "k").read_bytes() == a.value("k")
    assert os.readlink(f"/proc/{m.pid}/fd/0") == "/dev/null"


def test_a_store_that_fails_is_one_sentence_at_the_prompt_and_nothing_is_mounted(programs, store, tmp):
    a = store("a")
    place = tmp / "mnt"
    place.mkdir()
    fault = programs.build / "tests/fault/kesfs-fault"
    for code, status in (("EACCES", 7), ("EKEYREJECTED", 7), ("ENOKEY", 7), ("EHOSTUNREACH", 5), ("EPROTO", 1)):
        result = programs.run(fault, a.config, place, env={"KESFS_FAULT": f"*:status:*:fail={code}"}).expect(status)
        assert len(result.err.splitlines()) == 1, result
        assert mounted(place) is None


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupting_a_start_that_waits_mounts_nothing(programs, store, tmp, wait_until, number, status):
    a, place = store("a"), tmp / "mnt"
    place.mkdir()
    hold, log = tmp / "hold", tmp / "log"
    hold.touch()
    process = programs.start([programs.build / "tests/fault/kesfs-fault", a.config, place],
                             env={"KESFS_FAULT": f"*:status:*:hold={hold}", "KESFS_FAULT_LOG": str(log)})
    wait_until(lambda: "begin status" in log.read_text(), "the store to be asked")
    process.send_signal(number)
    result = programs.finish(process).expect(status)
    hold.unlink()
    assert result.err == "kesfs: interrupted: nothing was mounted\n"
    assert mounted(place) is None


def test_a_background_process_that_is_killed_is_told(programs, store, tmp, wait_until):
    a, place = store("a"), tmp / "mnt"
    place.mkdir()
    hold, log = tmp / "hold", tmp / "log"
    hold.touch()
    process = programs.start([programs.build / "tests/fault/kesfs-fault", a.config, place],
                             env={"KESFS_FAULT": f"*:status:*:hold={hold}", "KESFS_FAULT_LOG": str(log)})
    wait_until(lambda: "begin status" in log.read_text(), "the store to be asked")
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    os.kill(int(children[0]), signal.SIGKILL)
    result = programs.finish(process).expect(128 + signal.SIGKILL)
    assert "was ended by signal 9" in result.err
    assert mounted(place) is None


# --- signals, the log ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts_and_ends_with_0(mount, store, keys, number):
    m = mount(store("a", keys.many(2)).config)
    assert len(os.listdir(m)) == 2
    assert m.stop(number) == 0
    assert mounted(m.path) is None
    assert "then unmounting" in m.log


def test_open_files_do_not_keep_it_from_ending(mount, store, keys):
    """Under AddressSanitizer this also says that nothing of them is left."""
    a, b = store("a", {"k": keys.a()}), store("b")
    m = mount(a.config, b.config)
    held = [os.open(m / "a/k", os.O_RDONLY), os.open(m / "a", os.O_RDONLY), os.open(m.path, os.O_RDONLY),
            os.open(m / "b/new", os.O_WRONLY | os.O_CREAT), os.open(m / "a/.kesfs/status", os.O_RDONLY)]
    assert os.read(held[0], 10)
    assert os.write(held[3], b"x" * 10) == 10
    assert m.stop() == 0
    assert "new" in m.log and b.names() == []
    for fd in held:
        with contextlib.suppress(OSError):
            os.close(fd)


def test_unmounting_ends_the_process_with_0(mount, store):
    assert mount(store().config).unmount() == 0


def test_sighup_lists_again(mount, store, keys, wait_until):
    a = store("a", {"old": keys.a()})
    m = mount(a.config, "-o", "ttl=3600")
    assert os.listdir(m) == ["old"]
    a.put("new", keys.a())
    assert os.listdir(m) == ["old"]
    m.send(signal.SIGHUP)
    wait_until(lambda: sorted(os.listdir(m)) == ["new", "old"], "the new key after SIGHUP")
    assert m.alive()


def test_the_log_file_is_private_and_opened_anew_by_sighup(mount, store, keys, wait_until, tmp):
    a = store("a", {"k": keys.a()})
    log, older = tmp / "kesfs.log", tmp / "kesfs.log.1"
    m = mount(a.config, "-o", f"log={log}", daemon=True)
    wait_until(log.exists, "the log file")
    assert log.stat().st_mode & 0o7777 == 0o600
    (m / "first").write_bytes(keys.a())
    wait_until(lambda: "first" in log.read_text(), "a line for the first key")
    log.rename(older)
    m.send(signal.SIGHUP)
    wait_until(log.exists, "the log file to be made anew")
    (m / "second").write_bytes(keys.a())
    wait_until(lambda: "second" in log.read_text(), "a line for the second key")
    assert "second" not in older.read_text()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000 kesfs\[%d\]: " % m.pid, log.read_text())
    m.stop()
    wait_until(lambda: "then unmounting" in log.read_text(), "the last line")


def test_the_log_begins_and_ends_with_what_is_mounted_where(mount, store, keys, tmp):
    a, b, log = store("a", {"k": keys.a()}), store("b"), tmp / "kesfs.log"
    m = mount(f"one={a.config}", f"two={b.config}", "-o", f"log={log}", daemon=True)
    m.unmount()
    lines = [line.partition("]: ")[2] for line in log.read_text().splitlines()]
    ends = [f"{{}} {m.path}: fs {s.path}" for s in (a, b)]
    assert lines == [end.format("mounted on") for end in ends] + [end.format("unmounted from") for end in ends]


def test_debug_areas_log_what_they_are_about(mount, store, keys, wait_until, tmp):
    a, log = store("a", {"k": keys.a()}), tmp / "kesfs.log"
    m = mount(a.config, "-o", f"debug=store,cache,fuse,log={log}", daemon=True)
    m.refresh()
    assert (m / "k").read_bytes() == a.value("k")
    for said in (f"debug: store: fs {re.escape(str(a.path))}: get k: done in ",
                 f"debug: cache: fs {re.escape(str(a.path))}: listed 1 entries in ",
                 "debug: fuse: (dev )?unique: "):                          # libfuse 3.17 put a word in front
        wait_until(lambda: re.search(said, log.read_text()), said)
    quiet = mount(a.config)
    assert (quiet / "k").read_bytes() == a.value("k")
    assert "debug:" not in quiet.log


def test_a_log_file_that_cannot_be_opened_is_one_sentence_and_nothing_is_mounted(programs, store, tmp):
    (tmp / "mnt").mkdir()
    result = programs.run(programs.kesfs, store().config, tmp / "mnt", "-o", f"log={tmp}/none/log").expect(2)
    assert result.err == f"kesfs: cannot open the log file {tmp}/none/log: No such file or directory\n"
    assert mounted(tmp / "mnt") is None


# --- mount points --------------------------------------------------------------------------------------------------

def test_the_mount_is_nosuid_nodev_noexec_and_known_by_its_source(mount, store):
    a = store()
    m = mount(a.config, "-o", "dev,suid,exec")
    assert mounted(m.path) == ("fuse.kesfs", str(a.config))
    assert {"nosuid", "nodev", "noexec"} <= set(table_line(m.path).split()[5].split(","))
    with mount(a.config, "-o", "ro,fsname=my keys, and yours\\, too".replace(", and", "")) as other:
        assert "ro" in table_line(other.path).split()[5].split(",")


def test_several_stores_are_directories_by_file_or_name(mount, store, keys):
    a, b = store("a", {"k": keys.a()}), store("b", {"l": keys.a()})
    m = mount(a.config, f"other={b.config}", "-o", "ro=a")
    assert sorted(os.listdir(m)) == ["a", "other"]
    assert (m / "a/k").read_bytes() == a.value("k") and (m / "other/l").read_bytes() == b.value("l")
    (m / "other/new").write_bytes(keys.a())
    with pytest.raises(OSError):
        (m / "a/new").write_bytes(keys.a())


def dead_now(place):
    try:
        os.stat(place)
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def test_a_dead_mount_is_cleared_with_a_note(mount, programs, store, keys, tmp, wait_until):
    a = store("a", {"k": keys.a()})
    dead = mount(a.config)
    dead.kill()
    with pytest.raises(OSError):
        os.listdir(dead)
    for place in (dead.path, f"{dead.path}/", os.path.relpath(dead.path)):
        result = programs.run(programs.kesfs, a.config, place).expect(0)
        assert result.err == f"kesfs: the dead mount at {place} was cleared\n"
        assert os.listdir(dead) == ["k"]
        for pid in serving(dead.path):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: dead_now(dead.path), "the end of the daemon")
    unmount(dead.path)
    assert mounted(dead.path) is None


def test_a_live_mount_is_refused(mount, programs, store, keys):
    a, b = store("a", {"k": keys.a()}), store("b")
    m = mount(a.config)
    said = refused(programs, b.config, m.path)
    assert said == f"a key store is mounted at {m.path} already: unmount it first: fusermount3 -u {m.path}"
    assert os.listdir(m) == ["k"]
    assert "already" in refused(programs, b.config, m.path, "-o", "nonempty")


def test_the_directory_of_the_store_and_its_surroundings_are_refused(programs, store, keys):
    a = store("a", {"k": keys.a()})
    (a.path / "inside").mkdir()
    for place, words in ((a.path, "is, or lies in"), (a.path / "inside", "is, or lies in"), (a.path.parent, "would hide")):
        result = programs.run(programs.kesfs, a.config, place, "-o", "nonempty").expect(2)
        said = result.err.splitlines()[-1]    # the directory inside is left out, with a line of its own
        assert words in said and str(a.path) in said
        assert mounted(place) is None
    (a.path.parent / "link").symlink_to(a.path)
    result = programs.run(programs.kesfs, a.config, a.path.parent / "link/inside").expect(2)
    assert "is, or lies in" in result.err


def test_a_mount_point_that_is_not_fit_is_one_sentence(programs, store, tmp):
    a, b = store("a"), store("b")
    (tmp / "file").touch()
    assert refused(programs, a.config, tmp / "none", status=3) == \
        f"the mount point {tmp}/none does not exist: make it with mkdir -p {tmp}/none"
    assert refused(programs, a.config, tmp / "file") == f"the mount point {tmp}/file is not a directory"
    (b.path / "thing").touch()
    assert refused(programs, a.config, b.path) == (
        f"the mount point {b.path} is not empty (it holds 'thing'): use an empty directory, or -o nonempty to hide what is "
        "there")


def test_nonempty_hides_what_is_there(mount, store, keys, tmp):
    a, place = store("a", {"k": keys.a()}), tmp / "mnt"
    place.mkdir()
    (place / "thing").touch()
    with mount(a.config, "-o", "nonempty", at=place):
        assert os.listdir(place) == ["k"]
    assert os.listdir(place) == ["thing"]
    (place / "thing").unlink()


def test_auto_unmount_leaves_no_dead_mount(mount, store, wait_until):
    m = mount(store().config, "-o", "auto_unmount")
    m.kill()
    wait_until(lambda: mounted(m.path) is None, "the mount to go with its process")


def test_the_manual_names_every_member_of_status(mount, store, keys):
    a, b = store("a", {"k": keys.a()}), store("b")
    manual = pathlib.Path(__file__).resolve().parent.parent.parent.joinpath("docs/man/kesfs.1").read_text()
    words = set(re.findall(r"[a-z_]+", manual.partition(".Ss The directory .kesfs")[2].partition(".Ss Errors")[0]))
    one, two = mount(a.config), mount(a.config, b.config)
    several = two.status()
    key = json.loads((one / ".kesfs/keys/k").read_text())
    for members in (one.status(), one.status()["listing"], several, several["stores"][0], key):
        assert set(members) - {"in_memory", "network"} <= words


# --- mount(8), fstab, installation -----------------------------------------------------------------------------------

@pytest.fixture
def by_mount(programs, tmp):
    """mount(8) with these arguments, and a shell script in the mount point afterwards.  mount(8) drops PATH, so kesfs
    must be where the system looks: in a mount namespace of the test's own it is."""
    if os.geteuid() != 0 or not shutil.which("mount.fuse3"):
        pytest.skip("needs root and mount.fuse3")
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    place = tmp / "mnt"
    place.mkdir()

    def run(*arguments, then="true", program=programs.kesfs):
        bin_ = tmp / "bin"
        bin_.mkdir(exist_ok=True)
        (bin_ / "kesfs").unlink(missing_ok=True)
        (bin_ / "kesfs").symlink_to(program)
        script = (f'mount --bind {bin_} /usr/local/sbin; trap "umount -l {place} 2>/dev/null || true" EXIT; mount "$@"; '
                  f'cd {place}; {then}; cd /')
        return programs.run("unshare", "-m", "--propagation", "private", "sh", "-euc", script, "sh", *arguments)
    return run


TABLE = 'grep "$PWD " /proc/self/mountinfo'


def test_mount_finds_kesfs_as_a_type(by_mount, store, keys, tmp):
    a = store("a", {"k": keys.a()})
    result = by_mount("-t", "fuse.kesfs", a.config, tmp / "mnt", "-o", "ro,ttl=5", then=f"{TABLE}; cmp k {a.path}/k").expect(0)
    fields = result.out.split()
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(fields[5].split(","))
    assert fields[fields.index("-") + 1:][:2] == ["fuse.kesfs", str(a.config)]


def test_mount_reports_what_kesfs_refuses(by_mount, store, tmp):
    result = by_mount("-t", "fuse.kesfs", store().config, tmp / "mnt", "-o", "overwite")
    assert result.status == 2 and "did you mean 'overwrite'?" in result.err


def test_remount_is_refused_and_the_mount_stays(by_mount, store, keys, tmp):
    a = store("a", {"k": keys.a()})
    result = by_mount("-t", "fuse.kesfs", a.config, tmp / "mnt",
                      then=f'mount -o remount,ro "$PWD" && exit 99; ls; cp k new; {TABLE} | wc -l').expect(0)
    assert "the option 'remount' is refused" in result.err
    assert result.lines == ["k", "1"] and a.names() == ["k", "new"]


def test_a_line_in_fstab_mounts_and_counts_as_mounted(by_mount, store, keys, tmp):
    a = store("a", {"k": keys.a()})
    fstab = tmp / "fstab"
    fstab.write_text(f"{a.config} {tmp}/mnt fuse.kesfs ro,_netdev,nofail,user,x-systemd.automount,comment=mine 0 0\n")
    result = by_mount("-T", fstab, tmp / "mnt", then=f"ls; mount -a -T {fstab}; {TABLE} | wc -l").expect(0)
    assert result.lines == ["k", "1"]


def test_every_line_of_the_fstab_example_is_understood(programs, store, tmp):
    example = pathlib.Path(__file__).resolve().parent.parent.parent / "contrib/systemd/fstab.example"
    a = store("a")
    for line in example.read_text().splitlines():
        if line and not line.startswith("#"):
            options = line.split()[3]
            said = refused(programs, a.config, tmp / "none", "-o", options, status=3)
            assert "does not exist" in said


def test_the_unit_is_accepted_by_systemd(programs, tmp):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = (programs.build / "contrib/systemd/kesfs@.service").read_text()
    assert re.search(r"^ExecStart=/\S+/kesfs \$KESFS_OPTIONS /etc/kesfs/%i.yml /run/kesfs/%i$", unit, re.M)
    file = tmp / "kesfs@.service"
    file.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit, flags=re.M)
                    .replace("Documentation=man:kesfs(1)\n", ""))
    result = programs.run("systemd-analyze", "verify", "--man=no", tmp / "kesfs@x.service")
    assert "kesfs@" not in result.err, result


def test_what_is_installed_mounts_by_type(programs, by_mount, store, keys, tmp):
    if not shutil.which("meson"):
        pytest.skip("meson is not installed")
    there = tmp / "installed"
    programs.run("meson", "install", "-C", programs.build, "--no-rebuild", "--destdir", there).expect(0)
    found = {path.name: path for path in there.rglob("*") if path.is_file()}
    for name in ("kesfs-migrate", "kesfs.1", "kesfs-migrate.1", "kesfs.yml.5", "_kesfs", "kesfs.fish", "kesfs@.service"):
        assert name in found, sorted(found)
    a = store("a", {"k": keys.a()})
    program = next(there.rglob("bin/kesfs"))
    assert by_mount("-t", "fuse.kesfs", a.config, tmp / "mnt", then="ls", program=program).expect(0).lines == ["k"]


def test_a_failed_mount_is_an_exception_with_its_sentence(mount, store, tmp):
    """The fixture itself, since every other test stands on it."""
    with pytest.raises(MountFailed) as caught:
        mount(tmp / "none.yml")
    assert caught.value.status == 3
