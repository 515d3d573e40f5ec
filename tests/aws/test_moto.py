# SPDX-License-Identifier: Apache-2.0
"""AWS Secrets Manager as moto plays it, with KES and boto3 as judges of what is stored."""
import json
import pathlib
import subprocess

import pytest


pytestmark = pytest.mark.peers
TEXT = "eight words that only the right key opens"


def keystore(moto):
    text = moto.write(pathlib.Path(moto.log.parent) / "kes.yml").read_text()
    return text[text.index("keystore:"):]


def test_another_server_decrypts_with_keys_that_the_helper_took_to_aws(moto, kes, store, migrate, tmp):
    source = store("source", {})
    server = kes(source.path)
    for name in ("one", "two"):
        server.create(name)
    sealed = server.encrypt("one", TEXT)
    done = migrate("--from", source.config, "--to", moto.write(tmp / "aws.yml")).expect(0)
    assert "created                2  verified" in done.err
    assert kes(keystore=keystore(moto)).decrypt("one", sealed) == TEXT


def test_what_a_server_created_in_aws_comes_home(moto, kes, store, migrate, tmp):
    server = kes(keystore=keystore(moto))
    server.create("made-in-aws")
    sealed = server.encrypt("made-in-aws", TEXT)
    target = store("target", {})
    migrate("--from", moto.write(tmp / "aws.yml"), "--to", target.config).expect(0)
    assert kes(target.path).decrypt("made-in-aws", sealed) == TEXT


def test_boto3_reads_what_we_wrote_and_we_what_boto3_wrote(moto, store, keys, migrate, tmp):
    source = store("source", {"ours": keys.a()})
    config = moto.write(tmp / "aws.yml")
    migrate("--from", source.config, "--to", config).expect(0)
    assert moto.boto3("answer = client.get_secret_value(SecretId='ours')['SecretString']") == source.value("ours").decode()
    value = keys.b()
    moto.boto3("client.create_secret(Name='theirs', SecretBinary=values['value'].encode())", value=value.decode())
    target = store("target", {})
    migrate("--from", config, "--to", target.config).expect(0)
    assert target.all() == {"ours": source.value("ours"), "theirs": value}


def test_more_keys_than_a_page_holds_are_all_listed(moto, store, keys, migrate, tmp):
    source = store("source", keys.many(230))
    config = moto.write(tmp / "aws.yml")
    migrate("--from", source.config, "--to", config).expect(0)
    assert sorted(migrate("--list", "--from", config).expect(0).lines) == sorted(source.names())


def test_a_mount_shows_copies_replaces_and_removes(moto, store, keys, mount, programs, tmp):
    source = store("source", {"my-key": keys.a(), "other": keys.a()})
    m = mount(moto.write(tmp / "aws.yml"), "-o", "overwrite,delete,recovery=none")
    programs.run("cp", source.path / "my-key", m.path).expect(0)
    assert (m / "my-key").read_bytes() == source.value("my-key")
    programs.run("cp", source.path / "other", m / "my-key").expect(0)
    assert moto.boto3("answer = client.get_secret_value(SecretId='my-key')['SecretString']") == source.value("other").decode()
    programs.run("rm", m / "my-key").expect(0)
    assert moto.boto3("answer = client.list_secrets()['SecretList']") == []


def test_a_removed_key_can_be_restored_by_default(moto, store, keys, mount, programs, tmp):
    source = store("source", {"my-key": keys.a()})
    m = mount(moto.write(tmp / "aws.yml"), "-o", "delete")
    programs.run("cp", source.path / "my-key", m.path).expect(0)
    programs.run("rm", m / "my-key").expect(0)
    refused = programs.run("cp", source.path / "my-key", m.path).expect(1)
    assert "Device or resource busy" in refused.err
    moto.boto3("client.restore_secret(SecretId='my-key')")
    assert moto.boto3("answer = client.get_secret_value(SecretId='my-key')['SecretString']") == source.value("my-key").decode()


@pytest.mark.parametrize("session", [False, True])
def test_our_signature_is_botocore_s(moto, fake, migrate, tmp, session):
    more = "      credentials:\n        accesskey: ASIAEXAMPLE\n        secretkey: a/secret+key\n"
    if session:
        more += "        token: a-session-token\n"
    fake.know("ASIAEXAMPLE", "a/secret+key", "a-session-token" if session else None)
    fake.put("my-key", b"x")
    migrate("--list", "--from", fake.write(tmp / "aws.yml", credentials=False, more=more)).expect(0)
    operation, headers, body = fake.seen[-1]
    signed = {name: headers[name.lower()] for name in ("Content-Type", "X-Amz-Target")}
    script = """
import json, sys, datetime
from botocore import auth, awsrequest, credentials
v = json.load(sys.stdin)
now = datetime.datetime.strptime(v["date"], "%Y%m%dT%H%M%SZ")
class Frozen(datetime.datetime):
    @classmethod
    def utcnow(cls): return now
    @classmethod
    def now(cls, tz=None): return now.replace(tzinfo=tz)
auth.datetime = datetime.datetime if not hasattr(auth, "datetime") else Frozen
if hasattr(auth, "get_current_datetime"): auth.get_current_datetime = lambda *a, **k: now
r = awsrequest.AWSRequest("POST", v["url"], data=v["body"].encode(), headers=v["headers"])
auth.SigV4Auth(credentials.Credentials("ASIAEXAMPLE", "a/secret+key", v["token"]), "secretsmanager", "us-east-2").add_auth(r)
print(r.headers["Authorization"])
"""
    done = subprocess.run([moto.program.parent / "python3", "-c", script], capture_output=True, text=True, check=False, timeout=60,
                          input=json.dumps({"date": headers["x-amz-date"], "url": fake.endpoint + "/", "body": body,
                                            "headers": signed, "token": "a-session-token" if session else None}))
    assert done.returncode == 0, done.stderr
    assert headers["authorization"] == done.stdout.strip()
