# SPDX-License-Identifier: Apache-2.0
"""The suite's own tools: a check that cannot fail proves nothing."""
import os
import sys

import pytest

from tests.support import grave, values


def test_the_known_key_is_made_byte_for_byte():
    key, hmac = bytes(range(32)), bytes(range(32, 64))
    assert values.form_a(key, hmac) == values.KNOWN_A
    assert values.form_b(key) == values.KNOWN_B


def test_key_bytes_in_output_are_found(programs, keys):
    value = keys.a()
    with pytest.raises(grave.Grave, match="key bytes"):
        programs.run("echo", value.decode())


def test_a_sanitizer_report_is_found(programs):
    with pytest.raises(grave.Grave, match="sanitizer"):
        programs.run("echo", "==1==ERROR: AddressSanitizer: heap-use-after-free")


def test_a_crash_is_found(programs):
    with pytest.raises(grave.Grave, match="SIGSEGV"):
        programs.run("sh", "-c", "kill -SEGV $$")


def test_children_hear_sigint(programs):
    handler = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert programs.run(sys.executable, "-c", handler).out == "True\n"


def test_what_a_test_leaves_running_is_ended(programs):
    process = programs.start(["sleep", "1000"])
    programs.end()
    assert process.returncode == -9


def test_tmp_and_disk_are_on_different_file_systems(tmp, disk):
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no /dev/shm here")
    assert os.stat(tmp).st_dev != os.stat(disk).st_dev
