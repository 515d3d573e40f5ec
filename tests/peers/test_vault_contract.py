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
    said = programs.run(programs.build / "tests/contract/contract", env={"KESFS_CONTRACT_STORE": str(config)}, timeout=110)
    assert said.status == 0, said
    assert int(re.search(r"(\d+) test\(s\)\.", said.out + said.err)[1]) >= 10, said
