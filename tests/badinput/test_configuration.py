# SPDX-License-Identifier: Apache-2.0
"""Configuration files as they should not be: both programs say in one sentence where and what, and do nothing."""
import os

import pytest

FS = "keystore:\n  fs:\n    path: "
BOMB = "\n".join(["a: &a [x, x, x, x, x, x, x, x, x, x]"] +
                 [f"{new}: &{new} [{', '.join(['*' + old] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi")] +
                 ["keystore: {fs: {path: *i}}\n"])

# name: (content, what the sentence has behind "NAME.yml")
BAD = {
    "empty": (b"", ": empty"),
    "one-byte": (b"x", ":1:1: "),
    "binary": (bytes(range(256)), ": "),
    "bad-utf8": (b'keystore:\n  fs: {path: "\xff\xfe"}\n', ": "),
    "zeros": (bytes(4096), ": "),
    "tab": (b"keystore:\n\tfs: {}\n", ":2:1: "),
    "unclosed": (b'keystore:\n  fs: {path: "x\n', ":"),
    "list": (b"keystore:\n  - fs\n", ":2:3: keystore: "),
    "no-keystore": (b"version: v1\naddress: 0.0.0.0:7373\n", ":1:1: keystore: missing"),
    "no-store": (b"keystore: {}\n", ":1:11: keystore: "),
    "two-stores": (b"keystore:\n  fs: {path: a}\n  vault: {}\n", ":3:3: keystore: found two stores, 'fs' in line 2"),
    "twice": (b"keystore:\n  fs: {path: a}\n  fs: {path: b}\n", ":3:3: "),
    "typo": (b"keystore:\n  fs: {pth: a}\n", ":2:8: keystore.fs.pth: unknown, did you mean 'path'?"),
    "unset": (b'keystore:\n  fs: {path: "${KESFS_TEST_UNSET}"}\n', ":2:14: keystore.fs.path: the environment variable "
              "'KESFS_TEST_UNSET' is not set"),
    "no-path": (b'keystore:\n  fs: {path: ""}\n', ":2:14: keystore.fs.path: empty"),
    "version": (b"version: v2\n" + FS.encode() + b"a\n", ":1:10: version: found 'v2', expected v1"),
    "bomb": (BOMB.encode(), ":"),
    "cycle": (b"keystore: {fs: {path: &x [*x]}}\n", ":1:"),
    "deep": (b"keystore: " + b"[" * 100000, ":1:"),
    "huge": (b"# " + b"x" * (2 << 20), ": larger than 1 MiB"),
}


def sentence(result, status=2):
    result.expect(status)
    lines = result.err.splitlines()
    assert len(lines) == 1 and len(lines[0]) < 800, result
    assert lines[0].isprintable()
    return lines[0]


def config(tmp, name, content):
    path = tmp / f"{name}.yml"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_one_sentence_with_its_place(programs, migrate, store, tmp, name):
    content, said = BAD[name]
    path = config(tmp, name, content)
    good = store("good")
    place = tmp / "mnt"
    place.mkdir()
    for result in (programs.run(programs.kesfs, path, place), programs.run(programs.kesfs, "--probe", path),
                   migrate("--from", path, "--to", good.config), migrate("--from", good.config, "--to", path)):
        assert f"{name}.yml{said}" in sentence(result), result
    assert good.names() == [] and os.listdir(place) == []


def test_a_configuration_that_is_not_there_is_status_3(programs, migrate, store, tmp):
    good = store("good")
    (tmp / "mnt").mkdir()
    for missing in (tmp / "none.yml", tmp / "none" / "none.yml", good.config / "none.yml"):
        for result in (programs.run(programs.kesfs, missing, tmp / "mnt"), programs.run(programs.kesfs, "--probe", missing),
                       migrate("--from", missing, "--to", good.config), migrate("--from", good.config, "--to", missing)):
            assert "none.yml" in sentence(result, 3)


def test_a_directory_store_that_is_not_there_is_status_3_and_is_not_made(programs, migrate, store, tmp):
    good = store("good")
    (tmp / "mnt").mkdir()
    path = config(tmp, "gone", f"{FS}{tmp}/gone\n".encode())
    for result in (programs.run(programs.kesfs, path, tmp / "mnt"), programs.run(programs.kesfs, "--probe", path),
                   migrate("--from", path, "--to", good.config), migrate("--from", good.config, "--to", path)):
        assert f"{tmp}/gone" in sentence(result, 3)
    assert not (tmp / "gone").exists()


def test_a_path_that_is_a_file_is_refused(programs, store, tmp):
    path = config(tmp, "file", f"{FS}{tmp}/file.yml\n".encode())
    (tmp / "mnt").mkdir()
    assert "not a directory" in sentence(programs.run(programs.kesfs, path, tmp / "mnt"))


def test_a_loop_of_links_is_a_sentence(programs, tmp):
    (tmp / "loop.yml").symlink_to("loop.yml")
    assert "loop.yml" in sentence(programs.run(programs.kesfs, "--probe", tmp / "loop.yml"), 1)


def test_a_configuration_may_come_through_a_pipe(programs, store, keys):
    a = store("a", {"k": keys.a()})
    read, write = os.pipe()
    os.write(write, a.config.read_bytes())
    os.close(write)
    result = programs.run(programs.kesfs, "--probe", f"/dev/fd/{read}", pass_fds=[read]).expect(0)
    os.close(read)
    assert "1 key" in result.out


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_configuration_that_may_not_be_read_is_status_2(programs, store, tmp):
    a = store("a")
    a.config.chmod(0o600)
    tmp.parent.chmod(0o755)
    result = programs.run(programs.kesfs, "--probe", a.config, user=65534, group=65534, extra_groups=[])
    assert "a.yml cannot be read" in sentence(result, 2)


def test_probe_reports_each_store_and_ends_with_the_first_failure(programs, store, keys, tmp):
    a = store("a", {"k1": keys.a(), "k2": keys.b()})
    (a.path / "sub").mkdir()
    result = programs.run(programs.kesfs, "--probe", a.config, f"b={tmp}/none.yml", f"c={a.path}").expect(3)
    assert result.out.count("2 keys, and 1 other entry") == 2, result
    assert len(result.err.splitlines()) == 1 and "none.yml" in result.err
