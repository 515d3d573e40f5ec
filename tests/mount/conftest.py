# SPDX-License-Identifier: Apache-2.0
"""What the tests of the mount share: faulty(store, RULES, ...) mounts with the programs of tests/fault."""
import os
import pathlib
import subprocess

import pytest


class Faults:
    """The rules of one faulty mount, which may change while it runs, and the calls that its store has seen."""

    def __init__(self, place, rules):
        self.file, self.log = place / "rules", place / "calls"
        self.log.write_text("")
        self.set(rules)

    def set(self, *rules):
        fresh = self.file.with_suffix(".new")
        fresh.write_text("\n".join(rules) + "\n")
        fresh.rename(self.file)

    def calls(self, operation, when="begin"):
        """The names of the calls of this operation that have begun (or ended)."""
        return [line.split()[2] for line in self.log.read_text().splitlines()
                if line.split()[:2] == [when, operation]]


@pytest.fixture
def faulty(mount, programs, tmp):
    made = []

    def make(store_, rules, *options, **how):
        place = tmp / f"faults{len(made)}"
        place.mkdir()
        faults = Faults(place, rules)
        made.append(faults)
        sources = store_ if isinstance(store_, list) else [store_.config]
        m = mount(*sources, *options, command=[programs.build / "tests/fault/kesfs-fault"],
                  env={"KESFS_FAULT": f"@{faults.file}", "KESFS_FAULT_LOG": str(faults.log)}, **how)
        m.faults = faults
        return m
    yield make
    for faults in made:
        # Nothing may keep a mount from ending, whatever the test left hanging.
        faults.set("")


@pytest.fixture
def shell(tmp):
    """Run a command line as a user would; returns the CompletedProcess with text."""
    def run(line, cwd=None, program="bash", **variables):
        return subprocess.run([program, "-c", line], cwd=cwd or tmp, capture_output=True, text=True, check=False,
                              env={**os.environ, "LC_ALL": "C.UTF-8", **{k: str(v) for k, v in variables.items()}})
    return run


@pytest.fixture
def value_file(tmp, keys):
    """A file with a new key value outside the mount."""
    def make(name="value", value=None):
        path = pathlib.Path(tmp) / name
        path.write_bytes(keys.a() if value is None else value)
        return path
    return make
