# SPDX-License-Identifier: Apache-2.0
"""What the tests share.  A test asks for the fixtures of tests/conftest.py and seldom needs to import from here."""
