# SPDX-License-Identifier: Apache-2.0
"""What is refused before anything is written, and how a selection is made."""
import os

import pytest


def test_the_same_store_on_both_sides_is_refused_however_it_is_named(migrate, sides, tmp):
    a, _ = sides
    (tmp / "link").symlink_to(a.path)
    for other in (a.path, a.config, tmp / "link", tmp / "b/../a"):
        result = migrate("--from", a.config, "--to", other, "--force").expect(2)
        assert "the same store" in result.err


def test_a_backup_into_source_or_target_is_refused(migrate, sides, keys):
    a, b = sides
    b.put("alpha", keys.a())
    for other in (a.path, b.config):
        result = migrate("--from", a.path, "--to", b.path, "--force", "--backup-to", other).expect(2)
        assert "the same store" in result.err
    assert b.names() == ["alpha"] and b.value("alpha") != a.value("alpha")


@pytest.mark.parametrize("options", [[], ["--check"], ["-n"], ["--force"]])
def test_an_empty_source_is_refused(migrate, store, keys, options):
    a, b = store("a"), store("b", {"old": keys.a()})
    result = migrate("--from", a.path, "--to", b.path, *options).expect(3)
    assert "the source holds no key" in result.err


def test_a_pattern_that_selects_nothing_is_refused_even_beside_one_that_does(migrate, sides):
    a, b = sides
    result = migrate("--from", a.path, "--to", b.path, "a*", "zzz*").expect(3)
    assert "'zzz*'" in result.err and b.names() == []


def test_a_mistyped_literal_name_is_refused_and_named(migrate, sides):
    a, b = sides
    result = migrate("--from", a.path, "--to", b.path, "alpha", "alhpa").expect(3)
    assert "! alhpa: the source has no such key" in result.lines and b.names() == []
    migrate("--from", a.path, "--to", b.path, "alhpa", "b*").expect(3)


@pytest.mark.parametrize("pattern", ["[", "a[", "[]a]", "[a-]", "a\\"])
def test_a_malformed_pattern_is_a_usage_error(migrate, sides, pattern):
    a, b = sides
    for place in ([pattern], ["--include", pattern], ["--exclude", pattern]):
        assert "malformed pattern" in migrate("--from", a.path, "--to", b.path, *place).expect(2).err


def test_missing_sides_and_files_are_3_and_broken_configurations_2(migrate, sides, tmp):
    a, b = sides
    migrate("--from", tmp / "nothing", "--to", b.path).expect(3)
    migrate("--from", a.path, "--to", tmp / "nothing").expect(3)
    migrate("--from", a.path, "--to", tmp / "nothing.yml", "--create").expect(3)
    migrate("--from", a.path, "--to", b.path, "--files-from", tmp / "nothing").expect(3)
    (tmp / "broken.yml").write_text("keystore: [")
    assert "broken.yml:" in migrate("--from", tmp / "broken.yml", "--to", b.path).expect(2).err
    (tmp / "gone.yml").write_text(f"keystore: {{ fs: {{ path: {tmp}/gone }} }}")
    migrate("--from", a.path, "--to", tmp / "gone.yml").expect(3)
    assert not (tmp / "gone").exists()


def test_create_makes_the_last_component_of_a_missing_target_only(migrate, sides, tmp):
    a, _ = sides
    migrate("--from", a.path, "--to", tmp / "x/y", "--create").expect({2, 3})
    assert not (tmp / "x").exists()
    migrate("--from", a.path, "--to", tmp / "x", "--create").expect(0)
    assert (tmp / "x").stat().st_mode & 0o777 == 0o700
    assert sorted(os.listdir(tmp / "x")) == a.names()


def test_what_create_made_goes_again_if_nothing_was_stored_there(migrate, store, tmp):
    a = store("a", {"broken": b""})
    for arguments in (["--from", a.path], ["-n", "--from", a.path]):
        result = migrate(*arguments, "--to", tmp / "new", "--create").expect(6)
        assert not (tmp / "new").exists()
        assert f"fs {a.path} -> fs {tmp / 'new'}: " in result.err


def test_a_dry_run_of_create_sees_what_cannot_be_made(migrate, sides, tmp):
    a, _ = sides
    for target in (tmp / "x/y", tmp / "nothing.yml"):
        assert migrate("-n", "--from", a.path, "--to", target, "--create").expect(3).err == \
            migrate("--from", a.path, "--to", target, "--create").expect(3).err


def test_patterns_include_and_exclude_select_together(migrate, store, keys):
    a, b = store("a", {name: keys.a() for name in ("app-1", "app-2", "app-old", "web-1", "db")}), store("b")
    migrate("--from", a.path, "--to", b.path, "app-*", "--exclude", "*-old", "web-?").expect(0)
    assert b.names() == ["app-1", "app-2", "web-1"]
    migrate("--from", a.path, "--to", b.path, "--include", "d*", "--include", "*old").expect(0)
    assert b.names() == ["app-1", "app-2", "app-old", "db", "web-1"]
    migrate("--from", a.path, "--to", b.path, "--exclude", "*").expect(3)


def test_files_from_takes_names_from_a_file_or_from_stdin(migrate, sides, tmp):
    a, b = sides
    (tmp / "names").write_text("# the keys of one application\nalpha\r\n\nbeta\nalpha\n")
    migrate("--from", a.path, "--to", b.path, "--files-from", tmp / "names").expect(0)
    assert b.names() == ["alpha", "beta"]
    migrate("--from", a.path, "--to", b.path, "--files-from", "-", input="gamma\n").expect(0)
    assert b.all() == a.all()


def test_a_literal_name_does_not_lead_out_of_the_source(migrate, store, keys):
    source, target = store("source", {"a-key": keys.a()}), store("target")
    (source.path.parent / "outside").write_bytes(keys.a())
    done = migrate("--from", source.path, "--to", target.path, "../outside").expect(3)
    assert "../outside: the source has no such key" in done.err and target.names() == []


def test_literal_names_need_no_listing(faulty, sides, tmp):
    a, b = sides
    (tmp / "names").write_text("beta\n")
    rules = "*:list:*:fail=EACCES"
    faulty(rules, "--from", a.path, "--to", b.path, "alpha", "--files-from", tmp / "names").expect(0)
    assert b.names() == ["alpha", "beta"]
    faulty(rules, "--from", a.path, "--to", b.path).expect(7)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("op, status", [("list:*:fail=EACCES", 7), ("status:*:fail=EKEYREJECTED", 7),
                                        ("status:*:fail=ENOKEY", 7), ("status:*:fail=EHOSTUNREACH", 5),
                                        ("list:*:fail=EPROTO", 1)])
def test_a_side_that_refuses_as_a_whole_is_7_and_one_that_is_away_5(faulty, sides, side, op, status):
    a, b = sides
    result = faulty(f"/{side}:{op}", "--from", a.path, "--to", b.path).expect(status)
    assert b.names() == [] and "fault:" in result.err


def test_a_target_directory_that_may_not_be_written_is_7_and_nothing_is_tried(programs, sides, unprivileged):
    a, b = sides
    b.path.chmod(0o555)
    result = programs.run(*unprivileged, programs.kesfs_migrate, "--from", a.path, "--to", b.path).expect(7)
    assert b.names() == [] and "may not write" in result.err


def test_a_key_that_may_not_be_read_fails_alone_and_all_of_them_are_a_refusing_side(programs, sides, unprivileged):
    a, b = sides
    (a.path / "beta").chmod(0)
    result = programs.run(*unprivileged, programs.kesfs_migrate, "--from", a.path, "--to", b.path).expect(1)
    assert b.names() == ["alpha", "gamma"] and result.lines[0].startswith("! beta: ")
    programs.run(*unprivileged, programs.kesfs_migrate, "--from", a.path, "--to", b.path, "beta").expect(7)


def test_a_dry_run_creates_nothing_and_ends_with_the_status_of_the_real_run(migrate, sides, keys, tmp):
    a, b = sides
    b.put("beta", keys.a())
    a.put("broken", keys.a()[:50])
    before = b.all()
    for options, status, lines in (([], 6, ["+ alpha", "* beta", "! broken", "+ gamma"]),
                                   (["--merge"], 6, ["+ alpha", "* beta", "! broken", "+ gamma"]),
                                   (["--force", "--exclude", "broken"], 0, ["+ alpha", "> beta", "+ gamma"])):
        result = migrate("-n", "--from", a.path, "--to", b.path, *options).expect(status)
        assert [line.split(":")[0] for line in result.lines] == lines and b.all() == before
    result = migrate("-n", "--from", a.path, "--to", tmp / "new", "--create", "alpha").expect(0)
    assert result.lines == ["+ alpha"] and "would create" in result.err and not (tmp / "new").exists()
