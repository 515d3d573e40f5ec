# SPDX-License-Identifier: Apache-2.0
"""docs/tools.md, cell by cell: each tool of the table is run as written there, and what becomes of the key and what the
tool says must be what its cell says."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

TABLE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/tools.md"
COLUMNS = {"a new key": "rw", "an existing key": "rw", "with overwrite": "overwrite",
           "with overwrite,delete": "overwrite,delete"}
ERRNOS = {"Operation not permitted": "EPERM", "File exists": "EEXIST", "cannot overwrite existing": "EEXIST",
          "Invalid argument": "EINVAL", "Read-only file system": "EROFS", "Permission denied": "EACCES",
          "Invalid cross-device link": "EXDEV", "Device or resource busy": "EBUSY",
          "No such file or directory": "ENOENT"}
PYTHON = "import sys, shutil, os\nm, f = sys.argv[1:]\n"


def rows(title):
    """{first cell: {column: cell}} of the table below this title."""
    text = TABLE.read_text(encoding="utf-8").split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines()
             if line.startswith("|")]
    head = lines[0]
    return {line[0].strip("`").replace("\\|", "|"): dict(zip(head[1:], line[1:])) for line in lines[2:]}


def tool(command):
    """The program that a command needs."""
    words = command.split()
    return {"set": "bash", "printf": "bash", "python:": "python3"}.get(words[0], words[0])


def run(command, m, key, file, out):
    """The command of a row, with M the mount, KEY the key's name, F a file with a value (of the same name in its own
    folder D), O an empty folder outside."""
    if command.startswith("python: "):
        argv = ["python3", "-c", PYTHON + command.removeprefix("python: "), f"{m}/{key}", str(file)]
    else:
        argv = ["bash", "-c", command]
    env = {**os.environ, "LC_ALL": "C", "M": str(m), "KEY": key, "F": str(file), "D": str(file.parent), "O": str(out),
           "HOME": str(out)}
    return subprocess.run(argv, env=env, cwd=out, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)


def said(done):
    text = (done.stderr + done.stdout).decode(errors="replace")
    return next((symbol for words, symbol in ERRNOS.items() if words in text), f"an error {text.strip()[-200:]}".strip())


def outcome(done, a, key, before, new):
    """The word of a cell: what became of the key, and what the tool said."""
    now = a.all().get(key)
    if now == before:
        kept = "nothing stored" if before is None else "unchanged"
    else:
        kept = "removed" if now is None else "stored" if now == new else f"CHANGED to {len(now)} bytes"
    if done.returncode == 0:
        return kept
    return said(done) if now == before else f"{kept}, {said(done)}"


@pytest.mark.parametrize("column", COLUMNS)
def test_writing_with_every_tool_is_as_the_table_says(mount, store, keys, tmp, column):
    a, commands, differences = store("a"), rows("Writing"), []
    with mount(a.config, "-o", COLUMNS[column]) as m:
        for i, (command, cells) in enumerate(commands.items()):
            if shutil.which(tool(command)) is None:
                continue
            key, folder, out = f"key-{i}", tmp / f"in{i}", tmp / f"out{i}"
            folder.mkdir(), out.mkdir()
            file, new = folder / key, keys.a()
            file.write_bytes(new)
            os.utime(file, (1_600_000_000, 1_600_000_000))      # else rsync may believe that nothing changed
            before = None if column == "a new key" else keys.a()
            if before is not None:
                a.put(key, before)
            found = outcome(run(command, m.path, key, file, out), a, key, before, new)
            if found != cells[column]:
                differences.append(f"{command}: {found}, but the table says {cells[column]}")
            extra = set(a.names()) - {f"key-{n}" for n in range(i + 1)}
            if extra:
                differences.append(f"{command}: left {extra} in the store")
                for name in extra:
                    os.unlink(a.path / name)
        assert not differences, "\n".join(differences)


def test_reading_with_every_tool_is_as_the_table_says(mount, store, keys, tmp):
    a, differences = store("a", keys.many(3)), []
    before = a.all()
    with mount(a.config) as m:
        for i, (command, cells) in enumerate(rows("Reading").items()):
            if shutil.which(tool(command)) is None:
                continue
            out = tmp / f"out{i}"
            out.mkdir()
            key = "key-00001"
            (tmp / f"f{i}").write_bytes(before[key])
            done = run(command, m.path, key, tmp / f"f{i}", out)
            arrived = (before[key] in done.stdout or done.stdout.strip() == b"same" or
                       any(p.is_file() and p.read_bytes() == before[key] for p in out.rglob("*")))
            found = ("right" if arrived else f"WRONG ({done.stdout[-100:]!r})") if done.returncode == 0 else said(done)
            if found != cells["the value"]:
                differences.append(f"{command}: {found}, but the table says {cells['the value']} {done.stderr!r}")
        assert not differences, "\n".join(differences)
        assert a.all() == before


def test_between_two_mounts_every_copying_tool_copies(mount, store, keys):
    a = store("a", keys.many(12))
    with mount(a.config, "-o", "ro") as source:
        for i, command in enumerate(["cp $S/* $M", "cp -a $S/. $M", "rsync -a $S/ $M", "rsync -a --inplace $S/ $M",
                                     "tar -C $S -cf - . | tar -C $M -xf -", "install -m 600 $S/* $M",
                                     "ls $S | xargs -P 4 -I X cp $S/X $M/X"]):
            b = store(f"b{i}")
            with mount(b.config) as m:
                done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False,
                                      env={**os.environ, "S": str(source.path), "M": str(m.path)})
                assert (done.returncode, done.stderr) == (0, ""), command
            assert b.all() == a.all(), command


WHOLE = {
    "ls $M": "names", "find $M -type f -printf '%f\\n' | sort": "names", "ls -l $M | tail -n +2 | sed 's/.* //'": "names",
    "tar -C $M -cf - . | tar -C $O -xf -": "copy", "rsync -a $M/ $O": "copy", "rsync -a --inplace $M/ $O": "copy",
    "cp -a $M/. $O": "copy", "git diff --no-index $M $S": "same", "diff -r $M $S": "same", "du -s --apparent-size $M": "done",
    "rsync -a --checksum --delete $S/ $M": "done", "rsync -a --delete $M/ $O": "copy",
}


@pytest.mark.parametrize("local", [True, False], ids=["a store that tells sizes", "one that does not"])
def test_tools_that_walk_the_whole_directory_see_what_is_there_now(mount, faulty, store, keys, tmp, local):
    """Once, again, and after others and we ourselves have changed something; more names than one READDIR answers."""
    a = store("a", keys.many(1200))
    options = ["-o", "ttl=3600,delete,overwrite" + ("" if local else ",size=exact")]
    with (mount(a.config, *options) if local else faulty(a, "", *options)) as m:
        for turn in ("first", "again", "changed"):
            if turn == "changed":
                a.put("by-others", keys.a())
                os.unlink(a.path / "key-00003")
                m.refresh()
                (m / "by-us").write_bytes(keys.a())
                os.unlink(m / "key-00004")
            before = a.all()
            for i, (command, kind) in enumerate(WHOLE.items()):
                out = tmp / f"{turn}{i}"
                out.mkdir()
                done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False,
                                      env={**os.environ, "LC_ALL": "C", "M": str(m.path), "S": str(a.path), "O": str(out)})
                assert (done.returncode, done.stderr) == (0, ""), f"{turn}: {command}"
                if kind == "names":
                    assert done.stdout.split() == sorted(before), f"{turn}: {command}"
                elif kind == "same":
                    assert done.stdout == "", f"{turn}: {command}"
                elif kind == "copy":
                    assert {p.name: p.read_bytes() for p in out.iterdir()} == before, f"{turn}: {command}"
                shutil.rmtree(out)
        assert a.all() == before


def test_a_second_rsync_to_a_mount_has_nothing_to_do(mount, store, keys, tmp):
    a = store("a")
    folder = tmp / "folder"
    folder.mkdir()
    (folder / "k").write_bytes(keys.a())
    with mount(a.config) as m:
        for expected in (["k"], []):
            done = subprocess.run(["rsync", "-a", "--itemize-changes", f"{folder}/", m.path], capture_output=True, text=True,
                                  check=True)
            assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("<f") or
                    line.startswith(">f")] == expected


def test_rsync_delete_removes_only_with_delete(mount, store, keys, tmp):
    for options, left in (("rw", ["gone", "k"]), ("delete", ["k"])):
        a = store(options, {"k": keys.a(), "gone": keys.a()})
        folder = tmp / f"folder-{options}"
        folder.mkdir()
        shutil.copy2(a.path / "k", folder / "k")
        with mount(a.config, "-o", options) as m:
            done = subprocess.run(["rsync", "-a", "--delete", f"{folder}/", m.path], capture_output=True, check=False)
            assert (done.returncode == 0) == (options == "delete")
        assert a.names() == left
