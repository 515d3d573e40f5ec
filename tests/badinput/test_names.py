# SPDX-License-Identifier: Apache-2.0
"""Names with every byte and of every length: a KES server's names pass, the others are refused and never half made;
whatever a store holds is shown if it can be a file name, and never breaks a line of output."""
import errno
import os
import string

ALLOWED = set((string.ascii_letters + string.digits + "-_").encode())
TOO_LONG = [b"n" * 81, b"n" * 254, b"n" * 255]


def every_byte():
    """Each byte alone, first, last and in the middle."""
    for byte in range(1, 256):
        if byte != ord("/"):
            yield from (bytes([byte]), b"a" + bytes([byte]), bytes([byte]) + b"a", b"a" + bytes([byte]) + b"z")


def valid(name):
    return set(name) <= ALLOWED and len(name) <= 80 and not name.startswith(b"-") and not name.endswith(b"-") and name != b"_"


def names():
    return sorted(set(every_byte()) - {b".", b".."} | set(TOO_LONG) | {b"n" * 80, b"a..b", b"a-", b"__"})


def fill(path, value, chosen):
    for name in chosen:
        with open(os.fsencode(path) + b"/" + name, "wb") as file:
            file.write(value)


def printable(text):
    return all(line.isprintable() or not line for line in text.splitlines())


def test_the_helper_copies_valid_names_and_reports_the_others(migrate, store, keys):
    value, a, b = keys.a(), store("a"), store("b")
    fill(a, value, names())
    first = migrate("--from", a.config, "--to", b.config).expect(6)
    assert b.names() == [] and printable(first.out) and printable(first.err)
    second = migrate("--merge", "--from", a.config, "--to", b.config).expect(6)
    assert sorted(map(os.fsencode, b.names())) == [name for name in names() if valid(name)]
    assert set(b.all().values()) == {value}
    assert printable(second.out) and printable(second.err)


def test_the_helper_says_that_a_literal_name_cannot_be(migrate, store, keys):
    a, b = store("a", {"good": keys.a()}), store("b")
    for name in ("n" * 256, "n" * 5000, "a\nb", "sub/key", ""):
        result = migrate("--from", a.config, "--to", b.config, "good", name)
        assert result.status in (2, 3, 6), result
        assert printable(result.err) and b.names() == []


def test_a_mount_creates_valid_names_and_no_others(mount, store, keys):
    value, a = keys.a(), store("a")
    m = mount(a.config)
    for name in names():
        if name.startswith(b"."):
            continue                     # temporary: in memory only
        path = os.fsencode(m) + b"/" + name
        try:
            with open(path, "xb") as file:
                file.write(value)
        except OSError as error:
            assert not valid(name) and error.errno in (errno.EINVAL, errno.ENAMETOOLONG), (name, error)
        else:
            assert valid(name), name
    for length in (256, 1024, 4096):
        try:
            os.close(os.open(os.path.join(m, "n" * length), os.O_CREAT | os.O_WRONLY))
            raise AssertionError("a name too long was taken")
        except OSError as error:
            assert error.errno == errno.ENAMETOOLONG
    assert sorted(map(os.fsencode, a.names())) == [name for name in names() if valid(name)]
    assert m.alive() and printable(m.log)


def test_a_mount_shows_what_can_be_a_file_name_and_opens_it(mount, store, keys):
    value, a = keys.a(), store("a")
    fill(a, value, names())
    m = mount(a.config, "-o", "ro")
    shown = set(os.listdir(os.fsencode(m)))
    # A KES server refuses dots and backslashes in a directory.
    assert shown == {name for name in names() if min(name) >= 0x20 and not set(name) & set(b"\x7f.\\")}
    for name in shown:
        with open(os.fsencode(m) + b"/" + name, "rb") as file:
            assert file.read() == value
    m.status()
    assert printable(m.log)
