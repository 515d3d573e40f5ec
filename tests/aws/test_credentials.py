# SPDX-License-Identifier: Apache-2.0
"""Where AWS credentials come from, step by step of the chain, and what is said when a step fails."""
import json
import pathlib
import sys

import pytest


IMDS = "/latest/meta-data/iam/security-credentials/"


@pytest.fixture
def config(fake, tmp, keys):
    fake.put("my-key", keys.a())
    fake.forget()                                # nobody is known but who a test makes known
    return fake.write(tmp / "aws.yml", credentials=False)


@pytest.fixture
def listed(migrate, config, nowhere):
    """Run with these variables; the one key is listed."""
    def run(env, status=0, config=config):
        done = migrate("--list", "--from", config, env={**nowhere, **env}).expect(status)
        assert status != 0 or done.lines == ["my-key"]
        return done
    return run


def test_nothing_anywhere_is_one_sentence_that_names_the_places(listed):
    done = listed({}, status=7)
    assert "no credentials were found" in done.err and "AWS_ACCESS_KEY_ID" in done.err


def test_the_environment(login, listed):
    who = login.identity()
    listed({"AWS_ACCESS_KEY_ID": who["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": who["SecretAccessKey"],
            "AWS_SESSION_TOKEN": who["Token"]})


def test_an_unknown_access_key_is_a_refused_login(listed):
    done = listed({"AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": "nothing"}, status=7)
    assert "does not know the access key" in done.err


def profiles(tmp, text):
    path = tmp / "credentials"
    path.write_text(text)
    return {"AWS_SHARED_CREDENTIALS_FILE": str(path)}


def profile(name, who):
    return (f"[{name}]\naws_access_key_id = {who['AccessKeyId']}\naws_secret_access_key={who['SecretAccessKey']}\n"
            f"aws_session_token = {who['Token']}\n")


def test_the_default_profile_of_the_shared_file(login, listed, tmp):
    listed(profiles(tmp, "# a comment\n\n" + profile("default", login.identity())))


def test_the_profile_that_the_environment_names(login, listed, tmp):
    text = profile("default", {"AccessKeyId": "AKIAWRONG", "SecretAccessKey": "x", "Token": "x"}) + profile("work", login.identity())
    listed({**profiles(tmp, text), "AWS_PROFILE": "work"})


def test_the_profile_that_the_configuration_file_names_wins_over_the_environment(fake, login, listed, tmp):
    config = fake.write(tmp / "profile.yml", credentials=False, more="      profile: work\n")
    listed({**profiles(tmp, profile("work", login.identity())), "AWS_ACCESS_KEY_ID": "AKIAWRONG", "AWS_SECRET_ACCESS_KEY": "x"},
           config=config)


def test_a_profile_that_does_not_exist_is_named(listed, tmp):
    done = listed({**profiles(tmp, "[default]\n"), "AWS_PROFILE": "no-such"}, status=7)
    assert "no-such" in done.err


def test_a_profile_assumes_a_role_with_another_profile_s_credentials(login, listed, tmp):
    base, seen = login.identity(), []

    def assume(form, handler):
        seen.append((form["RoleArn"], form.get("ExternalId"), handler.headers["Authorization"]))
        return 200, login.role("AssumeRole")
    login.sts["AssumeRole"] = assume
    text = profile("base", base) + "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nexternal_id = 42\n"
    listed({**profiles(tmp, text), "AWS_ENDPOINT_URL_STS": login.endpoint})
    assert seen[0][:2] == ("arn:aws:iam::1:role/r", "42") and base["AccessKeyId"] in seen[0][2]


def test_the_role_of_the_configuration_file_is_assumed(fake, login, listed, tmp):
    who = login.identity()
    login.sts["AssumeRole"] = lambda form, handler: (200, login.role("AssumeRole"))
    config = fake.write(tmp / "role.yml", credentials=False, more="      role_arn: arn:aws:iam::1:role/r\n")
    listed({"AWS_ACCESS_KEY_ID": who["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": who["SecretAccessKey"],
            "AWS_SESSION_TOKEN": who["Token"], "AWS_ENDPOINT_URL_STS": login.endpoint}, config=config)
    assert login.calls["AssumeRole"] == 1


def test_a_role_that_is_refused_is_named_with_what_sts_said(fake, login, listed, tmp):
    login.sts["AssumeRole"] = lambda form, handler: (403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message>"
                                                    "</Error></ErrorResponse>")
    config = fake.write(tmp / "role.yml", more="      role_arn: arn:aws:iam::1:role/r\n")
    done = listed({"AWS_ENDPOINT_URL_STS": login.endpoint}, status=7, config=config)
    assert "arn:aws:iam::1:role/r" in done.err and "AccessDenied" in done.err and "not you" in done.err


def process(tmp, script, arguments=""):
    """The environment for a profile whose credential_process is this script of Python, under a path with a space in it."""
    (tmp / "a program").write_text(f"#!{sys.executable}\nimport json, pathlib, sys, time\n{script}\n")
    (tmp / "a program").chmod(0o755)
    return profiles(tmp, f"[default]\ncredential_process = \"{tmp}/a program\" {arguments}\n")


def answer(who, **more):
    return json.dumps({"Version": 1, "AccessKeyId": who["AccessKeyId"], "SecretAccessKey": who["SecretAccessKey"],
                       "SessionToken": who["Token"], "Expiration": who["Expiration"], **more})


def test_a_program_that_the_profile_names_prints_them(login, listed, tmp):
    (tmp / "answer").write_text(answer(login.identity()))
    done = listed(process(tmp, "assert sys.argv[1:] == ['one $HOME', 'it\\'s', '*']\nprint('hello', file=sys.stderr)\n"
                          f"print(pathlib.Path('{tmp}/answer').read_text())", "'one $HOME' it\\'s *"))
    assert done.err.splitlines()[0] == "hello"


@pytest.mark.parametrize("script, words", [
    ("sys.exit(3)", "ended with status 3"),
    ("print('a-planted-secret')", 'no JSON with "Version": 1'),
    ("print(json.dumps({'Version': 2, 'AccessKeyId': 'x', 'SecretAccessKey': 'a-planted-secret'}))", 'no JSON with "Version": 1'),
    ("print(json.dumps({'Version': 1, 'SecretAccessKey': 'a-planted-secret'}))", "lacks AccessKeyId"),
    ("print('x' * 100000)", "more than 64 KiB"),
])
def test_a_program_that_fails_is_named_with_what_is_wrong(listed, tmp, planted, script, words):
    planted.plant("a-planted-secret")
    done = listed(process(tmp, script), status=7)
    assert "credential_process of profile 'default'" in done.err and f"{tmp}/a program" in done.err and words in done.err


def test_a_program_that_does_not_exist_is_named(listed, tmp):
    done = listed(profiles(tmp, "[default]\ncredential_process = /no/such/program\n"), status=7)
    assert "/no/such/program: it cannot be started" in done.err


def test_a_program_that_hangs_is_killed_at_the_deadline(migrate, config, nowhere, tmp):
    env = process(tmp, f"pathlib.Path('{tmp}/pid').write_text(str(__import__('os').getpid()))\nwhile True: time.sleep(1)")
    migrate("--list", "--from", config, "--timeout", "2", env={**nowhere, **env}).expect({5, 7})
    assert not pathlib.Path(f"/proc/{(tmp / 'pid').read_text()}").exists()


def test_a_web_identity(login, listed, tmp):
    (tmp / "jwt").write_text("header.payload.signature\n")

    def assume(form, handler):
        assert form["WebIdentityToken"] == "header.payload.signature" and "Authorization" not in handler.headers
        return 200, login.role("AssumeRoleWithWebIdentity")
    login.sts["AssumeRoleWithWebIdentity"] = assume
    listed({"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp / "jwt"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
            "AWS_ENDPOINT_URL_STS": login.endpoint})


def test_a_web_identity_without_its_file_is_named(listed, tmp):
    done = listed({"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp / "none"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}, status=7)
    assert str(tmp / "none") in done.err


def test_a_container_and_the_token_of_its_file(login, listed, tmp):
    (tmp / "token").write_text("Basic abc")
    login.metadata["GET /creds"] = ({"Authorization": "Basic abc"}, login.identity)
    listed({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{login.endpoint}/creds",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp / "token")})


def test_a_container_elsewhere_must_be_https(listed):
    done = listed({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/creds"}, status=7)
    assert "plain http" in done.err


def instance(login):
    login.metadata["PUT /latest/api/token"] = ({"X-aws-ec2-metadata-token-ttl-seconds": "21600"}, b"imds-session")
    login.metadata[f"GET {IMDS}"] = ({"X-aws-ec2-metadata-token": "imds-session"}, b"my-role\n")
    return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": login.endpoint}


def test_an_instance_by_version_2_of_its_metadata_service(login, listed):
    env = instance(login)
    login.metadata[f"GET {IMDS}my-role"] = ({"X-aws-ec2-metadata-token": "imds-session"}, login.identity)
    listed(env)


def test_an_instance_that_answers_200_with_an_error(login, listed):
    env = instance(login)
    login.metadata[f"GET {IMDS}my-role"] = ({}, {"Code": "AssumeRoleUnauthorizedAccess"})
    done = listed(env, status=7)
    assert "AssumeRoleUnauthorizedAccess" in done.err


def test_credentials_that_expire_are_fetched_again_once_for_all(fake, login, mount, nowhere, config, wait_until):
    login.metadata["GET /creds"] = ({}, lambda: login.identity(seconds=3600))
    m = mount(config, "-o", "ttl=0", env={**nowhere, "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{login.endpoint}/creds"})
    before = login.calls["GET /creds"]
    fake.forget()                                # revoked: nobody is known any more but who asks again
    assert (m / "my-key").read_bytes() == fake.values()["my-key"]
    assert login.calls["GET /creds"] == before + 1
