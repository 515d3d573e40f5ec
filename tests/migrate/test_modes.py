# SPDX-License-Identifier: Apache-2.0
"""The table of modes: what becomes of a key, by what the target holds of that name."""
import pytest

MODES = {"default": [], "merge": ["--merge"], "force": ["--force"]}


@pytest.fixture(params=["directories", "files", "mixed"])
def named(request):
    """The two sides, as a user may name them."""
    return {"directories": lambda a, b: (a.path, b.path), "files": lambda a, b: (a.config, b.config),
            "mixed": lambda a, b: (a.config, b.path)}[request.param]


@pytest.mark.parametrize("mode", MODES)
def test_an_absent_key_is_created_in_every_mode_and_naming(migrate, sides, named, mode):
    a, b = sides
    source, target = named(a, b)
    result = migrate("--from", source, "--to", target, *MODES[mode]).expect(0)
    assert b.all() == a.all()
    assert result.out == ""
    assert "created" in result.err and "verified" in result.err


@pytest.mark.parametrize("mode", MODES)
def test_a_key_with_the_same_value_counts_as_done_and_is_not_written(migrate, sides, mode):
    a, b = sides
    for name, value in a.all().items():
        b.put(name, value)
    before = {name: (b.path / name).stat().st_ino for name in b.names()}
    result = migrate("--from", a.path, "--to", b.path, *MODES[mode]).expect(0)
    assert {name: (b.path / name).stat().st_ino for name in b.names()} == before
    assert "identical" in result.err and "created" not in result.err and "keys/s" not in result.err


def test_a_conflict_in_default_mode_writes_nothing_at_all(migrate, sides, keys):
    a, b = sides
    b.put("beta", keys.a())
    before = b.all()
    result = migrate("--from", a.path, "--to", b.path, "-v").expect(6)
    assert b.all() == before and "+ alpha: held back" in result.lines
    assert "* beta: the target holds another value" in result.lines
    assert "nothing was written" in result.err and "held back              2" in result.err
    assert result.err.index("--merge") < result.err.index("--force") < result.err.index("--backup-to")


def test_merge_leaves_a_conflict_alone_reports_it_and_copies_the_rest(migrate, sides, keys):
    a, b = sides
    other = keys.a()
    b.put("beta", other)
    result = migrate("--from", a.path, "--to", b.path, "--merge").expect(6)
    assert b.all() == {**a.all(), "beta": other}
    assert result.lines == ["* beta: the target holds another value"]


def test_force_replaces_what_differs(migrate, sides, keys):
    a, b = sides
    b.put("beta", keys.a())
    result = migrate("--from", a.path, "--to", b.path, "-f").expect(0)
    assert b.all() == a.all()
    assert "replaced               1  verified" in result.err


@pytest.mark.parametrize("mode, status, written", [("default", 6, False), ("merge", 6, True), ("force", 6, True)])
def test_what_is_no_key_at_the_target_stays_there_without_raw(migrate, sides, keys, mode, status, written):
    a, b = sides
    b.put("beta", keys.foreign())
    result = migrate("--from", a.path, "--to", b.path, *MODES[mode]).expect(status)
    assert b.value("beta") == keys.foreign()
    assert ("alpha" in b.names()) == written
    assert "the target holds no KES key there" in result.lines[0]


def test_force_with_raw_replaces_what_is_no_key(migrate, sides, keys):
    a, b = sides
    b.put("beta", keys.foreign())
    b.put("gamma", b"")
    migrate("--from", a.path, "--to", b.path, "--force", "--raw").expect(0)
    assert b.all() == a.all()


def test_a_folder_or_a_link_of_that_name_at_the_target_is_a_conflict_even_for_force_and_raw(migrate, sides):
    a, b = sides
    (b.path / "alpha").mkdir()
    (b.path / "beta").symlink_to("/nowhere")
    result = migrate("--from", a.path, "--to", b.path, "--force", "--raw").expect(6)
    assert [line.split(":")[0] for line in result.lines] == ["* alpha", "* beta"]
    assert (b.path / "alpha").is_dir() and (b.path / "beta").is_symlink()


def test_a_target_key_that_cannot_be_read_stops_default_mode_and_is_skipped_by_merge(faulty, sides):
    a, b = sides
    b.put("beta", a.value("beta"))
    rules = f"{b.path}:get:beta:fail=EACCES"
    assert faulty(rules, "--from", a.path, "--to", b.path).expect(6).lines[0].startswith("* beta: ")
    assert b.names() == ["beta"]
    faulty(rules, "--from", a.path, "--to", b.path, "--merge").expect(6)
    assert b.all() == a.all()


def test_a_rerun_continues(migrate, sides):
    a, b = sides
    migrate("--from", a.path, "--to", b.path, "alpha").expect(0)
    migrate("--from", a.path, "--to", b.path).expect(0)
    result = migrate("--from", a.path, "--to", b.path).expect(0)
    assert b.all() == a.all() and "identical              3" in result.err


def test_values_arrive_byte_for_byte_in_both_formats(migrate, store, keys):
    a = store("a", {"newline": keys.a() + b"\n", "wrapped": b"\n".join([keys.a()[:100], b""])[:0] + keys.b(),
                    "spaced": b"  " + keys.b() + b"\n"})
    b = store("b")
    migrate("--from", a.config, "--to", b.config).expect(0)
    assert b.all() == a.all()


def test_3000_keys_all_arrive(migrate, store, keys):
    a, b = store("a", keys.many(3000)), store("b")
    result = migrate("--from", a.config, "--to", b.config).expect(0)
    assert b.all() == a.all()
    assert "created            3,000  verified" in result.err


def test_the_words_of_kes_migrate_work(migrate, store, keys):
    a, b = store("a", {"my-1": keys.a(), "my-2": keys.a(), "other": keys.a()}), store("b", {"my-2": keys.a()})
    migrate("--from", a.config, "--target", b.config, "-f", "my-*").expect(0)
    assert b.all() == {name: value for name, value in a.all().items() if name != "other"}
    migrate("--from", a.config, "--target", b.config, "--merge", "-q").expect(0)
    assert b.all() == a.all()


def test_many_lanes_and_one_lane_do_the_same(migrate, store, keys):
    a, b, c = store("a", keys.many(200)), store("b"), store("c")
    migrate("--from", a.path, "--to", b.path, "-j", "1").expect(0)
    migrate("--from", a.path, "--to", c.path, "--transfers=50").expect(0)
    assert a.all() == b.all() == c.all()
