# SPDX-License-Identifier: Apache-2.0
"""What is no key, or no whole one."""
import os

import pytest


def test_foreign_entries_are_skipped_and_counted_and_v_names_them(migrate, sides, keys):
    a, b = sides
    a.put("README.txt", keys.foreign())
    a.put("notes", keys.foreign())
    (a.path / "folder").mkdir()
    result = migrate("--from", a.path, "--to", b.path).expect(0)
    assert b.names() == ["alpha", "beta", "gamma"] and result.out == ""
    assert "foreign                3  no KES keys, skipped" in result.err
    result = migrate("--from", a.path, "--to", b.path, "-v").expect(0)
    assert {line.split(":")[0] for line in result.lines if line.startswith(".")} == {". README.txt", ". folder", ". notes"}


def test_a_foreign_entry_that_is_named_literally_is_a_failure(migrate, sides, keys):
    a, b = sides
    a.put("notes", keys.foreign())
    result = migrate("--from", a.path, "--to", b.path, "notes", "alpha").expect(6)
    assert result.lines[0].startswith("! notes: no KES key") and b.names() == ["alpha"]


def test_raw_copies_foreign_values_but_never_an_empty_one(migrate, sides, keys):
    a, b = sides
    a.put("notes", keys.foreign())
    a.put("empty", b"")
    result = migrate("--from", a.path, "--to", b.path, "--raw").expect(6)
    assert b.value("notes") == keys.foreign() and "empty" not in b.names()
    assert result.lines == ["! empty: damaged: it is empty"]


def test_damaged_keys_do_not_pass_and_are_named_and_the_rest_does(migrate, sides, keys):
    a, b = sides
    good = a.all()
    damaged = keys.damaged()
    for name, value in damaged.items():
        a.put(name, value)
    result = migrate("--from", a.path, "--to", b.path).expect(6)
    assert b.all() == good
    assert {line.split(":")[0] for line in result.lines} == {f"! {name}" for name in damaged}


def test_a_symbolic_link_is_named_never_followed_and_never_ends_with_0(migrate, sides):
    a, b = sides
    (a.path / "linked").symlink_to("alpha")
    result = migrate("--from", a.path, "--to", b.path).expect(6)
    assert b.names() == ["alpha", "beta", "gamma"]
    assert "! linked: a symbolic link" in result.out
    assert "! linked: a symbolic link" in migrate("--check", "--from", a.path, "--to", b.path).expect(6).out
    assert "! linked: a symbolic link" in migrate("--list", "--from", a.path).expect(6).err
    migrate("--from", a.path, "--to", b.path, "-n").expect(6)
    migrate("--from", a.path, "--to", b.path, "linked").expect(6)


@pytest.mark.parametrize("name", ["-first", "last-", "with space", "ümlaut", "x" * 81])
def test_a_key_whose_name_cannot_exist_stops_default_mode_and_is_skipped_by_merge(migrate, sides, keys, name):
    a, b = sides
    a.put(name, keys.a())
    result = migrate("--from", a.path, "--to", b.path).expect(6)
    assert b.names() == [] and result.lines[0].startswith(f"! {name}: ")
    migrate("--from", a.path, "--to", b.path, "--merge").expect(6)
    assert b.names() == ["alpha", "beta", "gamma"]


def test_a_source_of_foreign_entries_only_is_an_empty_source(migrate, store, keys):
    a, b = store("a", {"notes": keys.foreign()}), store("b")
    migrate("--from", a.path, "--to", b.path).expect(3)
    assert b.names() == []


def test_a_name_cannot_forge_a_line(migrate, sides, keys):
    a, b = sides
    a.put("x\ny", keys.a())
    a.put("esc\033[31m", keys.a())
    result = migrate("--from", a.path, "--to", b.path, "-v")
    assert "\033" not in result.out + result.err and "\ny" not in result.out + result.err


def test_a_value_over_the_limit_is_named(migrate, sides):
    a, b = sides
    a.put("huge", os.urandom(1) * ((1 << 20) + 1))
    assert "! huge: " in migrate("--from", a.path, "--to", b.path, "--raw").expect(6).out
    assert b.names() == ["alpha", "beta", "gamma"]
