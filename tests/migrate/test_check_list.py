# SPDX-License-Identifier: Apache-2.0
"""--check and --list."""


def test_check_says_for_each_key_where_it_is_and_changes_nothing(migrate, store, keys):
    same = keys.a()
    a = store("a", {"differ": keys.a(), "missing": keys.a(), "same": same, "torn": keys.a()[:99]})
    b = store("b", {"differ": keys.a(), "extra": keys.a(), "same": same})
    before = b.all()
    result = migrate("--check", "--from", a.path, "--to", b.config).expect(6)
    assert [line.split(":")[0] for line in result.lines] == ["* differ", "- extra", "+ missing", "= same", "! torn"]
    assert b.all() == before and "not the same" in result.err


def test_check_of_equal_stores_is_0_and_what_only_the_target_has_does_not_matter(migrate, sides, keys):
    a, b = sides
    migrate("--from", a.path, "--to", b.path).expect(0)
    migrate("--check", "--from", a.path, "--to", b.path).expect(0)
    b.put("more", keys.a())
    assert "- more" in migrate("--check", "--from", a.path, "--to", b.path).expect(0).lines
    migrate("--check", "--from", b.path, "--to", a.path).expect(6)


def test_check_of_literal_names(migrate, sides, keys):
    a, b = sides
    b.put("alpha", a.value("alpha"))
    b.put("more", keys.a())
    result = migrate("--check", "--from", a.path, "--to", b.path, "alpha", "beta", "more").expect(6)
    assert result.lines == ["= alpha", "+ beta", "- more"]
    migrate("--check", "--from", a.path, "--to", b.path, "nowhere").expect(3)


def test_check_says_what_it_could_not_read(faulty, sides):
    a, b = sides
    b.put("alpha", a.value("alpha"))
    b.put("beta", a.value("beta"))
    result = faulty("/a:get:alpha:fail=EHOSTUNREACH", "--check", "--from", a.path, "--to", b.path, "alpha", "beta").expect(5)
    assert result.lines[0].startswith("! alpha: ") and result.lines[1] == "= beta"


def test_list_prints_names_that_files_from_takes_and_reads_no_value(faulty, migrate, sides):
    a, b = sides
    result = faulty("*:get:*:fail=EIO", "--list", "--from", a.config).expect(0)
    assert result.out == "alpha\nbeta\ngamma\n" and result.err == ""
    migrate("--from", a.path, "--to", b.path, "--files-from", "-", input=result.out).expect(0)
    assert migrate("--list", "--from", a.path, "?eta").expect(0).out == "beta\n"


def test_long_list_has_neat_columns(migrate, store, keys):
    a = store("a", {"a": keys.a(seconds=1700000000), "longer-name": keys.a(cipher=2, creator=""), "json": keys.b()})
    lines = migrate("--list", "--long", "--from", a.path).expect(0).lines
    creator = "c84cc9b91ae2399b043da7eca616048d4b4200edf2ff418d8af3835911db945d"
    size = len(a.value("json"))
    assert lines == [
        "NAME         ALGORITHM  CREATED                  SIZE  CREATOR",
        f"a            AES256     2023-11-14T22:13:20Z      208  {creator}",
        f"json         AES256     2023-11-14T22:13:20Z  {size:7}  {creator}",
        f"longer-name  ChaCha20   2023-11-14T22:13:20Z  {len(a.value('longer-name')):7}  -",
    ]


def test_list_leaves_out_what_is_no_key_and_says_how_many(migrate, sides):
    a, _ = sides
    (a.path / "folder").mkdir()
    (a.path / ".hidden").write_text("x")
    result = migrate("--list", "--from", a.path).expect(0)
    assert result.lines == ["alpha", "beta", "gamma"] and "no KES key" in result.err


def test_list_of_a_literal_name_tells_whether_it_exists(migrate, sides):
    a, _ = sides
    assert migrate("--list", "--from", a.path, "beta").expect(0).lines == ["beta"]
    migrate("--list", "--from", a.path, "nowhere").expect(3)
