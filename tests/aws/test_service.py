# SPDX-License-Identifier: Apache-2.0
"""What AWS Secrets Manager may do to us, played by a fake: throttling, lost answers, names held by deletions, lists that
lag, clocks that are off, secrets of others."""
import json
import os
import pathlib
import re
import sys
import time

import pytest

from tests.support import aws
from tests.support.aws import ACCESS_KEY, Refusal

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


def test_the_summary_says_for_how_long_throttling_held_the_run_back(fake, config, store, keys, migrate, tmp):
    source = store("source", keys.many(120))
    fake.set(quotas=True, burst=1, rates={"CreateSecret": 20})
    done = migrate("--from", source.config, "--to", config, f"--json={tmp}/json").expect(0)
    assert fake.values() == source.all()
    summary = json.loads((tmp / "json").read_text().splitlines()[-1])
    held = summary["target_counts"]["throttled_seconds"]
    # On the wall: not once for each of the hundred keys that wait at the same time.
    assert 2 <= held <= summary["elapsed_seconds"]
    shown = re.search(r"throttled +([\d.]+) s  held back by the target\n", done.err)
    assert shown and abs(float(shown.group(1)) - held) < 1.1
    assert f"throttled {fake.throttled['CreateSecret']} times" in done.err
    assert summary["source_counts"]["throttled_seconds"] == 0 and "by the source" not in done.err


def test_the_first_burst_is_refused_and_then_the_quota_is_kept(fake, config, store, keys, programs, wait_until):
    source = store("source", keys.many(400))
    fake.set(quotas=True)
    process = programs.start([programs.kesfs_migrate, "--from", source.config, "--to", config])
    wait_until(lambda: len(fake.values()) >= 150, "150 keys")
    burst = fake.throttled["CreateSecret"]
    programs.finish(process).expect(0)
    assert fake.values() == source.all()
    assert burst > 0 and fake.throttled["CreateSecret"] - burst <= 10


def test_aws_itself_is_asked_no_faster_than_its_quotas_from_the_first_key_on(fake, login, store, keys, migrate, tmp):
    """Its host, with the fake as the way there: a proxy."""
    source = store("source", keys.many(150))
    fake.set(quotas=True)
    config = aws.config(tmp / "aws.yml", f"http://secretsmanager.{aws.REGION}.amazonaws.com")
    login.sts["GetCallerIdentity"] = lambda form, handler: (200, "<Account>111122223333</Account>")
    migrate("--from", source.config, "--to", config,
            env={"http_proxy": fake.endpoint, "AWS_ENDPOINT_URL_STS": login.endpoint}).expect(0)
    assert fake.values() == source.all()
    assert fake.throttled["CreateSecret"] == 0


def test_a_lost_answer_to_a_create_is_settled_by_asking_again(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a()})
    fake.fail("CreateSecret", "lose")
    done = migrate("--from", source.config, "--to", config).expect(0)
    assert fake.values() == source.all()
    assert "created                1  verified" in done.err
    tokens = [json.loads(body)["ClientRequestToken"] for operation, _, body in fake.seen if operation == "CreateSecret"]
    assert len(tokens) == 2 and tokens[0] == tokens[1], "a repetition must carry the token of the first try"


def test_an_outcome_that_cannot_be_found_out_in_time_is_unknown_and_named(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a()})
    fake.fail("CreateSecret", "lose", times=100)
    fake.fail("GetSecretValue", "drop", times=1000, names=["my-key"])
    done = migrate("--from", source.config, "--to", config, "--timeout", "3").expect(5)
    assert "my-key" in done.err and "look again in some minutes" in done.err
    assert fake.values() == source.all()


def test_a_read_back_that_does_not_find_the_key_yet_is_repeated(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a()})
    fake.mark("my-key", unread=3)
    migrate("--from", source.config, "--to", config).expect(0)
    assert fake.stored("my-key")["unread"] == 0


def test_a_check_asks_for_a_key_that_the_listing_lacks_as_yet(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a()})
    fake.put("my-key", source.value("my-key"))
    fake.mark("my-key", unlisted=1000)
    assert migrate("--check", "--from", source.config, "--to", config).expect(0).lines == ["= my-key"]


def test_a_name_in_its_recovery_window_is_busy_and_the_date_is_named(fake, config, store, keys, migrate):
    source = store("source", {"my-key": keys.a(), "other": keys.a()})
    fake.put("my-key", keys.a())
    fake.mark("my-key", deleted_in=20 * 86400)
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
    fake.fail("GetSecretValue", DENIED, times=1000, names=["secret-of-others"])
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
    filters = [json.loads(body).get("Filters") for operation, _, body in fake.seen if operation == "ListSecrets"]
    assert [{"Key": "name", "Values": ["my-"]}] in filters


@pytest.mark.parametrize("off, words", [(3600, "60 min behind"), (-7200, "120 min ahead of")])
def test_a_clock_that_is_off_is_corrected_by_the_service_s_and_mentioned_once(fake, config, store, keys, migrate, off, words):
    source = store("source", keys.many(20))
    fake.set(clock=off)
    done = migrate("--from", source.config, "--to", config).expect(0)
    assert fake.values() == source.all()
    assert done.err.count(f"the clock of this machine is {words} AWS's") == 1


def test_a_mount_mentions_a_clock_that_is_off(fake, config, keys, mount):
    fake.put("my-key", keys.a())
    fake.set(clock=3600)
    m = mount(config)
    assert (m / "my-key").read_bytes() == fake.values()["my-key"]
    assert "60 min behind" in m.log and -3610 <= m.status()["clock_off_seconds"] <= -3590


def test_a_missing_permission_is_named_with_its_resource(fake, config, store, keys, migrate):
    fake.fail("ListSecrets", DENIED, times=100)
    done = migrate("--list", "--from", config).expect(7)
    assert "needs 'secretsmanager:ListSecrets' on *" in done.err
    source = store("source", {"my-key": keys.a()})
    fake.fail("CreateSecret", DENIED)
    done = migrate("--from", source.config, "--to", config, "my-key").expect({1, 7})
    assert "needs 'secretsmanager:CreateSecret' on arn:aws:secretsmanager:us-east-2:*:secret:my-key-??????" in done.err


def test_a_missing_right_to_the_kms_key_is_told_from_one_to_the_secret(fake, config, keys, migrate):
    fake.put("my-key", keys.a())
    fake.fail("GetSecretValue", Refusal("AccessDeniedException", "Access to KMS is not allowed"), times=100, names=["my-key"])
    done = migrate("--list", "--long", "--from", config, "my-key")
    assert "needs 'kms:Decrypt' on the KMS key" in done.err


# Runs a program and says on its last line how much memory it had at most, in MiB.
WEIGHED = """import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(status)"""


SANITIZED = "KESFS_TEST_SANITIZED" in os.environ
NAMES = 100_000 if SANITIZED else 1_000_000


@pytest.mark.limit(300)
def test_a_million_names_are_all_listed_in_bounded_memory(fake, config, programs):
    fake.set(preload=NAMES)
    done = programs.run(sys.executable, "-c", WEIGHED, programs.kesfs_migrate, "--list", "--from", config, timeout=240).expect(0)
    assert done.lines[:-1] == [f"key-{i:07}" for i in range(NAMES)]
    assert fake.calls["ListSecrets"] <= NAMES / 100 + 10
    assert int(done.lines[-1]) <= 256 or SANITIZED


@pytest.mark.limit(300)
@pytest.mark.long
def test_a_million_names_are_all_mounted(fake, config, mount, programs):
    fake.set(preload=NAMES)
    m = mount(config, "-o", "ttl=600")
    assert programs.run("ls", "-U", m.path).expect(0).out.count("\n") == NAMES
    peak = int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path(f"/proc/{m.pid}/status").read_text()).group(1))
    assert peak <= 400 * 1024 or SANITIZED


def test_pages_that_are_empty_are_not_the_end(fake, config, migrate):
    fake.set(preload=1_000_000)
    fake.put("zz-key", b"x")
    assert migrate("--list", "--from", config, "zz-*").expect(0).lines == ["zz-key"]
    assert fake.calls["ListSecrets"] >= 5


def static(fake, path, key, secret, token=None):
    more = f"      credentials:\n        accesskey: {key}\n        secretkey: {secret}\n"
    return fake.write(path, credentials=False, more=more + (f"        token: {token}\n" if token else ""))


def test_an_expired_session_is_a_refused_login(fake, migrate, tmp):
    fake.know("ASIAEXPIRED", "a-secret", "a-token", seconds=-1)
    done = migrate("--list", "--from", static(fake, tmp / "aws.yml", "ASIAEXPIRED", "a-secret", "a-token")).expect(7)
    assert "the session is expired" in done.err


def test_a_wrong_secret_key_is_a_refused_login(fake, migrate, tmp):
    done = migrate("--list", "--from", static(fake, tmp / "aws.yml", ACCESS_KEY, "wrong")).expect(7)
    assert "the secret access key is wrong" in done.err


def test_a_run_in_which_answers_are_lost_loses_no_key(fake, config, store, keys, migrate):
    source = store("source", keys.many(300))
    for operation in ("CreateSecret", "GetSecretValue"):
        for skip in range(20, 200, 20):
            fake.fail(operation, "lose", skip=skip)
            fake.fail(operation, "drop", skip=skip)
    done = migrate("--from", source.config, "--to", config).expect(0)
    assert fake.values() == source.all()
    assert "created              300  verified" in done.err


def test_a_mount_shows_its_own_changes_though_the_listing_lags(fake, config, keys, mount, programs, tmp):
    fake.put("old", keys.a())
    (tmp / "value").write_bytes(keys.a())
    m = mount(config, "-o", "ttl=0,delete")
    fake.set(list_lag=1000)
    programs.run("cp", tmp / "value", m / "new").expect(0)
    assert programs.run("ls", m.path).expect(0).lines == ["new", "old"]
    (m / ".kesfs/refresh").read_bytes()
    assert programs.run("ls", m.path).expect(0).lines == ["new", "old"]


def test_a_created_key_costs_two_requests(fake, config, store, keys, migrate):
    source = store("source", keys.many(100))
    done = migrate("--json", "--from", source.config, "--to", config).expect(0)
    assert fake.calls["CreateSecret"] == 100 and fake.calls["GetSecretValue"] - 100 in range(0, 2)
    assert fake.calls["ListSecrets"] == 2, "who we are and which account this is, in one; and the listing"
    assert json.loads(done.lines[-1])["target_counts"]["requests"] <= 203
