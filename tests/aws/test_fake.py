# SPDX-License-Identifier: Apache-2.0
"""The fake of AWS Secrets Manager, proved with AWS's own client and with KES before anything of ours is tried on it."""
import pytest

from tests.support.aws import ACCESS_KEY, Refusal

pytestmark = pytest.mark.peers

CODE = """
def code(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response['Error']['Code']
    return 'none'
"""


def test_boto3_creates_reads_lists_replaces_removes_and_restores(fake):
    answer = fake.boto3(CODE + """
made = client.create_secret(Name='my-key', SecretString='one \\u00e9 \\n "two"')
first = client.get_secret_value(SecretId='my-key')
client.put_secret_value(SecretId=made['ARN'], SecretString='second')
described = client.describe_secret(SecretId='my-key')
client.create_secret(Name='bytes', SecretBinary=b'\\x00\\xff')
page = client.list_secrets(MaxResults=1)
names = [s['Name'] for p in client.get_paginator('list_secrets').paginate(PaginationConfig={'PageSize': 1})
         for s in p['SecretList']]
filtered = client.list_secrets(Filters=[{'Key': 'name', 'Values': ['my-']}])['SecretList']
batch = client.batch_get_secret_value(SecretIdList=['my-key', 'absent'])
days = client.delete_secret(SecretId='my-key', RecoveryWindowInDays=7)
codes = [code(client.get_secret_value, SecretId='my-key'), code(client.create_secret, Name='my-key', SecretString='x')]
left = [s['Name'] for s in client.list_secrets()['SecretList']]
planned = [s['Name'] for s in client.list_secrets(IncludePlannedDeletion=True)['SecretList']]
client.restore_secret(SecretId='my-key')
answer = [first['SecretString'], first['VersionStages'], client.get_secret_value(SecretId='my-key')['SecretString'],
          sorted(described['VersionIdsToStages'].values()), list(client.get_secret_value(SecretId='bytes')['SecretBinary']),
          'NextToken' in page, names, [s['Name'] for s in filtered], [len(batch['SecretValues']), batch['Errors'][0]['ErrorCode']],
          codes, left, planned]
""")
    assert answer == ['one é \n "two"', ["AWSCURRENT"], "second", [["AWSCURRENT"]], [0, 255], True, ["my-key", "bytes"], ["my-key"],
                      [1, "ResourceNotFoundException"], ["InvalidRequestException"] * 2, ["bytes"], ["my-key", "bytes"]]


def test_boto3_hears_the_codes_that_aws_has(fake):
    answer = fake.boto3(CODE + """
token = '01234567-89ab-4def-8123-456789abcdef'
client.create_secret(Name='a', SecretString='x', ClientRequestToken=token)
answer = [code(client.create_secret, Name='a', SecretString='x', ClientRequestToken=token),
          code(client.create_secret, Name='a', SecretString='y', ClientRequestToken=token),
          code(client.create_secret, Name='a', SecretString='x'),
          code(client.get_secret_value, SecretId='absent'),
          code(client.list_secrets, NextToken='nonsense'),
          code(client.create_secret, Name='a b', SecretString='x'),
          code(client.create_secret, Name='long', SecretString='x' * 65537),
          code(client.delete_secret, SecretId='absent', ForceDeleteWithoutRecovery=True),
          code(client.delete_secret, SecretId='absent'),
          code(client.delete_secret, SecretId='a', RecoveryWindowInDays=3)]
""")
    assert answer == ["none", "ResourceExistsException", "ResourceExistsException", "ResourceNotFoundException",
                      "InvalidNextTokenException", "ValidationException", "ValidationException", "none",
                      "ResourceNotFoundException", "InvalidParameterException"]


def test_boto3_with_a_wrong_secret_key_a_foreign_one_and_an_expired_session_is_refused(fake):
    fake.know("ASIAEXPIRED", "secret", "token", seconds=-1)
    script = CODE + """
def as_(key, secret, token=None):
    return boto3.client('secretsmanager', endpoint_url=client.meta.endpoint_url, region_name='us-east-2', aws_access_key_id=key,
                        aws_secret_access_key=secret, aws_session_token=token)
answer = [code(as_(values['known'], 'wrong').list_secrets), code(as_('AKIANOBODY', 'x').list_secrets),
          code(as_('ASIAEXPIRED', 'secret', 'token').list_secrets)]
"""
    assert fake.boto3(script, known=ACCESS_KEY) == ["InvalidSignatureException", "UnrecognizedClientException",
                                                    "ExpiredTokenException"]


def test_boto3_is_throttled_beyond_the_quota_and_hears_failures_on_request(fake):
    fake.set(quotas=True, rates={"CreateSecret": 5})
    fake.fail("GetSecretValue", Refusal("AccessDeniedException", "not you"), skip=1)
    fake.fail("DescribeSecret", "drop")
    answer = fake.boto3(CODE + """
made = [code(client.create_secret, Name=f'n{i}', SecretString='x') for i in range(20)]
read = [code(client.get_secret_value, SecretId='n0') for i in range(3)]
try:
    client.describe_secret(SecretId='n0')
    read.append('answered')
except ClientError:
    read.append('refused')
except Exception as error:
    read.append(type(error).__name__)
answer = [made[:5], made.count('ThrottlingException'), read]
""")
    assert answer[0] == ["none"] * 5 and answer[1] >= 10
    assert answer[2][:3] == ["none", "AccessDeniedException", "none"] and answer[2][3] not in ("answered", "refused")
    assert fake.throttled["CreateSecret"] == answer[1]


def test_a_list_that_lags_and_a_name_that_a_forced_deletion_holds(fake):
    fake.set(list_lag=300, forced_hold=300)
    script = CODE + """
client.create_secret(Name=values['name'], SecretString='x')
listed = [s['Name'] for s in client.list_secrets()['SecretList']]
client.delete_secret(SecretId=values['name'], ForceDeleteWithoutRecovery=True)
answer = [listed, code(client.create_secret, Name=values['name'], SecretString='x')]
"""
    assert fake.boto3(script, name="a") == [[], "InvalidRequestException"]
    fake.set(list_lag=0, forced_hold=0)
    assert fake.boto3(script, name="b") == [["b"], "none"]


def test_a_kes_server_makes_keys_in_it_and_decrypts_with_them(fake, kes, tmp):
    text = fake.write(tmp / "aws.yml").read_text()
    keystore = text[text.index("keystore:"):]
    first = kes(keystore=keystore)
    first.create("my-key")
    sealed = first.encrypt("my-key", "some words")
    assert kes(keystore=keystore).decrypt("my-key", sealed) == "some words"
    assert list(fake.values()) == ["my-key"]


def test_kes_migrate_copies_to_it(fake, kes, store, keys, tmp):
    source = store("source", keys.many(20))
    text = fake.write(tmp / "aws.yml").read_text()
    kes.migrate(kes.config("from", f"keystore:\n  fs:\n    path: {source.path}\n"),
                kes.config("to", text[text.index("keystore:"):])).expect(0)
    assert fake.values() == source.all()
