# SPDX-License-Identifier: Apache-2.0
"""What AWS Secrets Manager may do to us, played by a fake: throttling, lost answers, names held by deletions, lists that
lag, clocks that are off, secrets of others."""
import json
import time

import pytest

from tests.support.aws import Refusal

THROTTLED = Refusal("ThrottlingException", "Rate exceeded")
DENIED = Refusal("AccessDeniedException", "User: arn:aws:iam::111122223333:user/me is not authorized to perform this")


@pytest.fixture
def config(fake, tmp):
    return fake.write(tmp / "aws.yml")


def test_throttling_slows_a_run_down_and_fails_nothing(fake, config, store, keys, migrate):
    source = store("source", keys.many(30))
    fake.fail("CreateSecret", THROTTLED, times=5)
    fake.fail("GetSecretValue", THROTTLED, times=3)
    done = migrate("--from", source.config, "--to", config, "--json").expect(0)
    assert fake.values() == source.all()
    summary = json.loads(done.lines[-1])
    assert summary["target_counts"]["throttled"] >= 2


def test_a_lost_answer_to_a_create_is_settled_by_asking_again(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a()})
    fake.fail("CreateSecret", "lose")
    done = migrate("--from", source.config, "--to", config).expect(0)
    assert fake.values() == source.all()
    assert "created                1  verified" in done.err
    tokens = {json.loads(body)["ClientRequestToken"] for operation, _, body in fake.seen if operation == "CreateSecret"}
    assert len(tokens) == 1, "a repetition must carry the token of the first try"


def test_a_read_back_that_does_not_find_the_key_yet_is_repeated(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a()})
    fake.unread["my-key"] = 3
    migrate("--from", source.config, "--to", config).expect(0)
    assert fake.unread["my-key"] == 0


def test_a_check_asks_for_a_key_that_the_listing_lacks_as_yet(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a()})
    fake.put("my-key", source.value("my-key"))
    fake.unlisted.add("my-key")
    assert migrate("--check", "--from", source.config, "--to", config).expect(0).lines == ["= my-key"]


def test_a_name_in_its_recovery_window_is_busy_and_the_date_is_named(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a(), "other": keys.a()})
    fake.put("my-key", keys.a())
    fake.secrets["my-key"]["deleted"] = time.time() + 20 * 86400
    done = migrate("--from", source.config, "--to", config)
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 20 * 86400))
    assert day in done.err
    assert done.status in (5, 6)
    assert "other" in fake.values()


def test_a_forced_replace_is_one_new_version(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a()})
    fake.put("my-key", keys.a())
    migrate("--from", source.config, "--to", config, "--force", "--yes").expect(0)
    assert fake.values() == source.all()
    assert fake.calls["PutSecretValue"] == 1 and fake.calls["DeleteSecret"] == 0


def test_a_secret_that_may_not_be_read_is_named_and_stops_nothing(fake, config, store, keys, migrate):
    for name in ("one", "secret-of-others", "two"):
        fake.put(name, keys.a())
    fake.fail("GetSecretValue", DENIED, times=1000, names={"secret-of-others"})
    target = store("target", {})
    done = migrate("--from", config, "--to", target.config)
    assert "secretsmanager:GetSecretValue" in done.err and "secret-of-others" in done.err
    assert done.status != 0
    assert target.names() == ["one", "two"]


def test_secrets_that_are_no_keys_are_left_out_and_counted(fake, config, store, keys, migrate):
    fake.put("my-key", keys.a())
    fake.put("prod-db-password", b"correct horse battery staple")
    target = store("target", {})
    done = migrate("--from", config, "--to", target.config).expect(0)
    assert target.names() == ["my-key"]
    assert "foreign                1" in done.err


def test_a_literal_prefix_becomes_the_service_s_own_filter(fake, config, store, keys, migrate):
    fake.put("my-key", keys.a())
    fake.put("another", keys.a())
    migrate("--list", "--from", config, "my-*").expect(0)
    asked = [json.loads(body) for operation, _, body in fake.seen if operation == "ListSecrets"]
    assert {"Key": "name", "Values": ["my-"]} in asked[-1]["Filters"]


def test_a_clock_that_is_off_is_corrected_by_the_service_s(fake, config, keys, migrate):
    fake.put("my-key", keys.a())
    fake.clock = 3600
    assert migrate("--list", "--from", config).expect(0).lines == ["my-key"]


def test_a_missing_permission_is_named(fake, config, migrate):
    fake.fail("ListSecrets", DENIED, times=100)
    done = migrate("--list", "--from", config).expect(7)
    assert "secretsmanager:ListSecrets" in done.err


def test_twenty_thousand_names_in_pages_of_which_some_are_empty(fake, config, migrate):
    for i in range(20000):
        fake.put(f"key-{i:05}", b"x")
    assert len(migrate("--list", "--from", config).expect(0).lines) == 20000
    assert fake.calls["ListSecrets"] >= 200


def test_a_mount_shows_its_own_changes_though_the_listing_lags(fake, config, keys, mount, programs, tmp):
    fake.put("old", keys.a())
    (tmp / "value").write_bytes(keys.a())
    m = mount(config, "-o", "ttl=0,delete")
    fake.unlisted.add("new")
    programs.run("cp", tmp / "value", m / "new").expect(0)
    assert programs.run("ls", m.path).expect(0).lines == ["new", "old"]
    (m / ".kesfs/refresh").read_bytes()
    assert programs.run("ls", m.path).expect(0).lines == ["new", "old"]


def test_a_created_key_costs_two_requests(fake, config, store, keys, migrate):
    source = store("source", keys.many(100))
    done = migrate("--json", "--from", source.config, "--to", config).expect(0)
    assert fake.calls["CreateSecret"] == 100 and fake.calls["GetSecretValue"] - 100 in range(0, 3)
    assert json.loads(done.lines[-1])["target_counts"]["requests"] <= 210
