# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.support.rounds import Rounds


@pytest.fixture(params=["short", pytest.param("long", marks=pytest.mark.long)])
def rounds(request):
    """As many rounds as $KESFS_TEST_CRASH_SECONDS (4) allow, or 200."""
    return Rounds(request.param == "long")
