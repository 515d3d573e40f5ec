# SPDX-License-Identifier: Apache-2.0
"""contrib/demo is the first thing that a reader runs."""
import os
import pathlib

from tests.support.programs import TOP


def test_the_demo_ends_well_and_leaves_nothing_behind(programs, tmp):
    place = tmp / "demo"
    place.mkdir()
    said = programs.run(TOP / "contrib/demo", "--yes",
                        env={"KESFS_BUILD": str(programs.build), "TMPDIR": str(place)}).expect(0)
    for line in ("Dry run", "Migrate", "Check", "A conflict", "partner"):
        assert line in said.out
    assert os.listdir(place) == []
    assert str(place) not in pathlib.Path("/proc/self/mountinfo").read_text()
