# SPDX-License-Identifier: Apache-2.0
"""A kesfs mount keeps the contract of a store, too: the same suite, run on a real mount."""
import pytest


@pytest.mark.parametrize("suite", ["contract", "races"])
def test_a_mount_keeps_the_contract(suite, store, mount, programs):
    behind = store("behind")
    with mount(behind.config, "-o", "overwrite,delete,raw") as m:
        result = programs.run(programs.build / "tests/contract" / suite, env={"KESFS_CONTRACT_STORE": str(m.path)})
        result.expect(0)
    assert behind.names() == []
