# SPDX-License-Identifier: Apache-2.0
"""Fixtures with real Vaults: support/vault.py, support/tripwire.py, support/toxiproxy.py."""
import pytest

from tests.support import toxiproxy as toxiproxy_, tripwire as tripwire_, vault as vault_, vault_cluster as vault_cluster_


@pytest.fixture(scope="session")
def _vault(tmp_path_factory):
    server = vault_.server(tmp_path_factory.mktemp("vault"))
    yield server.start()
    server.stop()


@pytest.fixture
def vault(_vault):
    """The Vault of the whole run, in memory: leave it open and as it is."""
    if _vault.process.poll() is not None:
        _vault.start()
    return _vault


@pytest.fixture
def vault_engine(vault, tmp, planted):
    def make(version, **how):
        return vault_.Engine(how.pop("vault", vault), tmp, version, planted=planted, **how)
    return make


@pytest.fixture
def vault_own(tmp):
    """A maker of Vaults of the test's own, with file storage."""
    made = []

    def make(tls=None, storage=None):
        folder = tmp / f"vault-{len(made)}"
        folder.mkdir()
        server = vault_.server(folder, storage=storage or folder / "data", tls=tls)
        made.append(server)
        return server.start()
    yield make
    for server in made:
        server.stop()


@pytest.fixture
def vault_cluster(tmp):
    """A maker of clusters of the test's own."""
    made = []

    def make(**how):
        folder = tmp / f"cluster-{len(made)}"
        folder.mkdir()
        made.append(vault_cluster_.Cluster(folder, **how))
        return made[-1].start()
    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture
def certificates(tmp):
    place = tmp / "certificates"
    place.mkdir()
    return vault_.Certificates(place)


@pytest.fixture
def tripwire():
    made = []

    def make(port):
        made.append(tripwire_.Tripwire(port))
        return made[-1]
    yield make
    for wire in made:
        wire.end()


@pytest.fixture
def toxiproxy(tmp):
    made = []

    def make(port):
        made.append(toxiproxy_.Toxiproxy(tmp, port))
        return made[-1]
    yield make
    for proxy in made:
        proxy.stop()
