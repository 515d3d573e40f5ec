# SPDX-License-Identifier: Apache-2.0
"""Values that no KES server could load: refused when they are written, reported when they are found, never half
stored; the size limit is exact."""
import errno
import os

import pytest

MIB = 1 << 20


def bad_values(keys):
    """{what: value}, none of which is a key."""
    good = keys.a()
    values = {f"cut-at-{length}": good[:length] for length in (1, 2, 4, 50, 103, 204, 207)}
    values |= keys.damaged()
    del values["empty"]
    values |= {
        "one-byte": b"x",
        "1MiB": b"k" * MIB,
        "text": keys.foreign(),
        "zeros": bytes(208),
        "twice": good + good,
        "flipped": bytes([good[0] ^ 1]) + good[1:],
        "space": good[:100] + b" " + good[100:],
        "json-cut": keys.b()[:-1],
        "json-twice": keys.b() + keys.b(),
        "json-list": b"[" + keys.b() + b"]",
        "json-31": b'{"bytes":"' + b"A" * 41 + b'=="}',
        "json-type": b'{"bytes":5}',
        "json-algorithm": keys.b(algorithm="DES"),
    }
    return values


def write(path, value):
    """The errno that somebody who writes value to a new file gets first, or 0; the file is closed in any case."""
    failed = 0
    try:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        return error.errno
    try:
        left = value
        while left:
            left = left[os.write(fd, left):]
    except OSError as error:
        failed = error.errno
    try:
        os.close(fd)
    except OSError as error:
        failed = failed or error.errno
    return failed


def test_a_mount_refuses_what_no_server_could_load(mount, store, keys):
    a = store("a", {"here": keys.a()})
    m = mount(a.config)
    for name, value in bad_values(keys).items():
        assert write(m / name, value) == errno.EINVAL, name
        assert not (m / name).exists(), name
    assert a.names() == ["here"]
    for name, value in {"a": keys.a(), "b": keys.b(), "newline": keys.a() + b"\n"}.items():
        assert write(m / name, value) == 0, name
        assert a.value(name) == value
    m.wait_log("cut-at-50")


def test_an_empty_value_is_never_stored(mount, store, keys):
    good = keys.a()
    a = store("a", {"here": good})
    m = mount(a.config, "-o", "overwrite,delete,raw")
    os.system(f"cp /dev/null '{m / 'new'}' 2>/dev/null")
    os.system(f"cp /dev/null '{m / 'here'}' 2>/dev/null")
    os.system(f"install -m 600 /dev/null '{m / 'here'}' 2>/dev/null")
    m.unmount()
    assert a.all() == {"here": good}


def test_raw_takes_any_value_up_to_the_limit(mount, store, keys):
    a = store("a")
    m = mount(a.config, "-o", "raw")
    values = bad_values(keys)
    for name, value in values.items():
        assert write(m / name, value) == 0, name
    assert write(m / "more", b"k" * (MIB + 1)) == errno.EFBIG
    assert a.all() == values


def test_a_value_beyond_the_limit_is_efbig_and_nothing_is_stored(mount, store, keys):
    a = store("a", {"here": keys.a()})
    m = mount(a.config)
    assert write(m / "big", b"k" * (MIB + 1)) == errno.EFBIG
    assert write(m / "huge", bytes(64 * MIB)) == errno.EFBIG
    assert a.names() == ["here"]


@pytest.mark.parametrize("through", ["config", "mount"])
def test_the_helper_reports_bad_values_and_copies_the_good(migrate, mount, store, keys, through):
    bad = bad_values(keys) | {"empty": b""}
    good = keys.many(3)
    a, b = store("a", bad | good), store("b")
    source = a.config if through == "config" else mount(a.config, "-o", "ro")
    result = migrate("-v", "--merge", "--from", source, "--to", b.config)
    assert result.status in (1, 5, 6), result
    assert b.all() == good
    for name in bad:
        assert name in result.out, (name, result)


def test_a_source_value_beyond_1_mib_is_refused_whole(migrate, store, keys):
    good = keys.a()
    a, b = store("a", {"big": b"k" * (MIB + 1), "good": good}), store("b")
    result = migrate("--raw", "--merge", "--from", a.config, "--to", b.config)
    assert result.status != 0 and "big" in result.out + result.err
    assert b.all() == {"good": good}
