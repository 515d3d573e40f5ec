# SPDX-License-Identifier: Apache-2.0
"""Sessions in documents that are held to be true.

A fenced block of kind `console` shows commands after "$ " (continued after a backslash) and what they print.  All
blocks of one document run in one directory, in order; what they print must be what stands there, but for times,
speeds, paths of the machine and process ids.  Blocks of other kinds (`sh`, `text`) are not run.

    python3 -m tests.support.documents README.md ...       writes what the commands print now into the documents"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from . import grave, mounts, values
from .programs import TOP, Programs

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
VARIES = ((re.compile(r"\b\d+(\.\d+)? ?(ms|s)\b"), "N s"), (re.compile(r"\b[\d,.]+ keys/s"), "N keys/s"),
          (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?"), "DATE"),
          (re.compile(r"\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d\b"), "DATE"), (re.compile(r"[ \t]+"), " "))


def commands(block):
    """[(lines of the command, its output)]"""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif found and not found[-1][1] and found[-1][0][-1].endswith("\\"):
            found[-1][0].append(line)
        else:
            found[-1][1].append(line)
    return found


def stage(folder):
    """What the documents take as given: two stores with their KES configurations, old.yml and new.yml."""
    made = values.Keys(grave.Planted(), seed=7)
    for name in ("old", "new"):
        (folder / f"{name}-keys").mkdir(mode=0o700)
        (folder / f"{name}.yml").write_text(f"version: v1\nkeystore:\n  fs:\n    path: {name}-keys\n")
    for name in ("backup-2023", "my-app-1", "my-app-2", "my-app-3", "payments"):
        file = folder / "old-keys" / name
        file.write_bytes(made.a())
        file.chmod(0o600)
    return made


def run(programs, folder, text):
    """Run every console block of a document; returns the document with what the commands print now."""
    script, plan = [], []
    for block in BLOCK.finditer(text):
        for lines, _ in commands(block.group(1)):
            plan.append(lines)
            script.append("\n".join(lines) + "\nkept=$?; printf '\\001'; (exit $kept)\n")
    path = f"{programs.kesfs.parent}:{programs.kesfs_migrate.parent}:{os.environ['PATH']}"
    with tempfile.TemporaryFile() as out:
        subprocess.run(["bash", "-c", "".join(script)], stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=100,
                       env=programs.environment({"PATH": path, "HOME": str(folder)}), cwd=folder, check=False)
        out.seek(0)
        outputs = out.read().decode("utf-8", "backslashreplace").split("\1")
    assert len(outputs) == len(plan) + 1, f"not all commands ran: {outputs[-1]}"
    outputs = iter(outputs)

    def fill(block):
        lines = []
        for command, _ in commands(block.group(1)):
            lines += ["$ " + command[0], *command[1:]]
            lines += [line.rstrip() for line in next(outputs).splitlines()]
        return "```console\n" + "\n".join(lines) + "\n```"
    return BLOCK.sub(fill, text)


def normal(text):
    for pattern, instead in VARIES:
        text = pattern.sub(instead, text)
    return text


def end(folder):
    """Unmount whatever the commands left mounted below folder."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        places = [line.split()[4] for line in table]
    for place in reversed([place for place in places if place.startswith(f"{folder}/")]):
        mounts.unmount(place)


def main(paths):
    for path in paths:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
            folder = pathlib.Path(name)
            work = folder / "work"
            work.mkdir()
            stage(work)
            try:
                document = TOP / path
                document.write_text(run(Programs(grave.Planted(), folder), work, document.read_text()))
            finally:
                end(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
