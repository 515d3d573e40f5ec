# SPDX-License-Identifier: Apache-2.0
"""Fixtures with AWS Secrets Manager: support/aws.py."""
import pytest

from tests.support import aws


@pytest.fixture(scope="session")
def _moto(tmp_path_factory):
    server = aws.Moto(tmp_path_factory.mktemp("moto"))
    yield server.start()
    server.stop()


@pytest.fixture
def moto(_moto):
    """An empty moto."""
    _moto.reset()
    return _moto


@pytest.fixture
def fake(programs):
    server = aws.Fake(programs.build / "tests/aws_fake/aws_fake")
    yield server
    server.stop()


@pytest.fixture
def login(fake):
    server = aws.Login(fake)
    yield server
    server.stop()


@pytest.fixture
def nowhere(tmp):
    """An environment in which no step of the credential chain finds anything."""
    return {"HOME": str(tmp), "AWS_EC2_METADATA_DISABLED": "true"}
