# SPDX-License-Identifier: Apache-2.0
"""The hidden directory .kesfs: what the mount says of itself and of its keys, never a byte of a key."""
import errno
import json
import os

import pytest


def refused(code):
    return pytest.raises(OSError, match=rf"\[Errno {code}\]")


def test_it_is_not_listed_but_reachable_by_name(mount, store, keys):
    a = store("a", {"k": keys.a()})
    with mount(a.config) as m:
        assert os.listdir(m) == ["k"]
        assert sorted(os.listdir(m / ".kesfs")) == ["keys", "refresh", "status"]
        for change in (lambda: (m / ".kesfs/status").write_bytes(b"x"), lambda: (m / ".kesfs/new").write_bytes(b"x"),
                       lambda: os.unlink(m / ".kesfs/status"), lambda: os.rename(m / ".kesfs", m / ".other")):
            with pytest.raises(OSError):
                change()


def test_status_says_what_is_mounted_and_how_it_is(mount, store, keys):
    a = store("a", {"k": keys.a()})
    with mount(a.config, "-o", "overwrite") as m:
        (m / "k").read_bytes()
        status = m.status()
        assert status["kesfs"] == 1 and status["pid"] == m.pid and status["parallel"] is True
        assert status["store"] == "fs" and str(a.path) in status["label"] and status["identity"]
        assert status["reachable"] is True and status["latency_ms"] >= 0 and status["stale"] is False
        assert status["replace"] == "atomic" and status["read_only"] is False
        assert status["listing"]["names"] == 1 and 0 <= status["listing"]["age"] < 60
        assert status["counters"]["gets"] == 1 and status["counters"]["lists"] >= 1


def test_two_mounts_of_one_directory_have_one_identity(mount, store):
    a, b = store("a"), store("b")
    with mount(a.config, "-o", "ro") as one, mount(a.config) as two, mount(b.config) as other:
        assert one.status()["identity"] == two.status()["identity"] != other.status()["identity"]
        assert one.status()["replace"] == two.status()["replace"] == "refused"


def test_status_of_several_stores_is_a_list_and_one_each(mount, store, keys):
    a, b = store("a", {"k": keys.a()}), store("b")
    with mount(a.config, b.config, "-o", "ro=b") as m:
        whole = m.status()
        assert whole["kesfs"] == 1 and [s["name"] for s in whole["stores"]] == ["a", "b"]
        for name, s in (("a", a), ("b", b)):
            one = json.loads((m / name / ".kesfs/status").read_text())
            assert one["kesfs"] == 1 and str(s.path) in one["label"] and one["read_only"] == (name == "b")
        assert os.listdir(m / "a") == ["k"]
        assert sorted(os.listdir(m / ".kesfs")) == ["refresh", "status"]
        assert (m / ".kesfs/refresh").read_text() == "listing all stores anew\n"


def test_a_key_is_described_without_a_byte_of_it(mount, store, keys):
    a = store("a", {"k": keys.a(cipher=2), "json": keys.b(), "foreign": keys.foreign(), "cut": keys.damaged()["truncated"]})
    with mount(a.config) as m:
        k = json.loads((m / ".kesfs/keys/k").read_text())
        assert (k["name"], k["state"], k["format"], k["algorithm"]) == ("k", "valid", "protobuf", "ChaCha20")
        assert k["created"] == "2023-11-14T22:13:20Z" and len(k["created_by"]) == 64 and k["size"] == 208
        assert json.loads((m / ".kesfs/keys/json").read_text())["format"] == "json"
        assert json.loads((m / ".kesfs/keys/foreign").read_text())["state"] == "foreign"
        cut = json.loads((m / ".kesfs/keys/cut").read_text())
        assert cut["state"] == "damaged" and cut["reason"]
        with refused(errno.ENOENT):
            (m / ".kesfs/keys/missing").read_text()
        said = (m / ".kesfs/keys/k").read_bytes() + (m / ".kesfs/status").read_bytes()
        assert a.value("k")[8:40] not in said


def test_status_answers_while_the_store_hangs_and_says_why(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "*:get:*:fail=EHOSTUNREACH", "-o", "timeout=600") as m:
        with refused(errno.EIO):
            (m / "k").read_bytes()
        m.faults.set("*:*:*:hang")
        status = m.status()
        assert status["reachable"] is False and "fault" in status["reason"]
        assert status["counters"]["failures"] == 1


def test_status_tells_when_the_directory_of_a_store_is_no_longer_at_its_path(mount, store, keys):
    a = store("a", {"k": keys.a()})
    away = a.path.with_name("away")
    with mount(a.config) as m:
        value = a.value("k")
        a.path.rename(away)
        status = m.status()
        assert status["reachable"] is False and "moved away" in status["reason"] and str(a.path) in status["reason"]
        assert (m / "k").read_bytes() == value                  # it goes on with what it was given
        assert m.status()["reachable"] is False
        a.path.mkdir(0o700)
        with refused(errno.EIO):
            (m / "new").write_bytes(keys.a())                   # a KES server would never see it
        assert not list(a.path.iterdir()) and [p.name for p in away.iterdir()] == ["k"]
        status = m.status()
        assert status["reachable"] is False and "another directory" in status["reason"]
        m.wait_log("moved away")
        a.path.rmdir()
        away.rename(a.path)
        assert m.status()["reachable"] is True and "reason" not in m.status()
        m.wait_log("at its path again")


def test_the_log_tells_of_a_moved_directory_when_the_names_are_listed(mount, store, keys):
    a = store("a", {"k": keys.a()})
    with mount(a.config) as m:
        a.path.rename(a.path.with_name("away"))
        m.refresh()
        m.wait_log("moved away from this path")


def test_what_a_store_refuses_is_told_from_what_it_cannot_be_asked(faulty, store, keys):
    a = store("a", {"k": keys.a()})
    with faulty(a, "*:get:*:fail=EACCES") as m:
        with refused(errno.EACCES):
            (m / "k").read_bytes()
        assert m.status()["reachable"] is True
