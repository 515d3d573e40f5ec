# SPDX-License-Identifier: Apache-2.0
"""Every promise of backend.h, against a real Vault."""
import re

import pytest

from tests.peers.test_vault import ALL, approle

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("how", [{"version": 1}, {"version": 2}, {"version": 2, "transit": True, "prefix": "kes"}],
                         ids=["v1", "v2", "v2-transit-prefix"])
def test_the_contract_holds(how, vault_engine, programs):
    engine = vault_engine(**how)
    config = engine.config(approle(engine, ALL))
    # KV v1 has no condition, so that of two writers racing both may be told that they were first.
    for suite in ("contract", "races")[:engine.version]:
        holds(suite, config, programs)


def holds(suite, config, programs):
    said = programs.run(programs.build / "tests/contract" / suite, env={"KESFS_CONTRACT_STORE": str(config)}, timeout=110)
    assert said.status == 0, said
    assert int(re.search(r"(\d+) test\(s\)\.", said.out + said.err)[1]) >= 3, said
