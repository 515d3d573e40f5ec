# SPDX-License-Identifier: Apache-2.0
"""The command line, its help, and the manual."""
import re

import pytest


def help_options(text):
    return re.findall(r"^ +(?:-(\w), )?--([\w-]+)", text, re.M)


def manual_options(text):
    section = text.split(".Sh OPTIONS")[1].split(".Sh OUTPUT")[0]
    return re.findall(r"^\.It (?:Fl (\w)(?: Ar \w+)? , )?Fl -([\w-]+)", section, re.M)


def test_help_and_manual_name_the_same_options_in_the_same_order(migrate, manual):
    options = help_options(migrate("--help").expect(0).out)
    assert len(options) > 20
    assert options == manual_options(manual.read_text())


def test_the_manual_is_clean(programs, manual):
    result = programs.run("mandoc", "-T", "lint", "-W", "warning", manual)
    assert result.out + result.err == ""


def test_the_manual_documents_every_member_of_the_json_objects(migrate, sides, objects, manual, tmp):
    a, b = sides
    seen = set()
    for words in (["--to", b.path], ["--to", b.path, "-n"], ["--to", b.path, "alhpa"], ["--list", "--long"]):
        for o in objects(migrate("--json", "--from", a.path, *words)):
            seen |= set(o)
            for value in o.values():
                seen |= set(value) if isinstance(value, dict) else set()
    text = manual.read_text().split(".Ss JSON")[1].split(".Sh SIGNALS")[0]
    words = set(re.findall(r"\w+", text))
    assert {word for word in seen if word not in words and word not in {"listed", "absent", "extra"}} == set()


def test_the_manual_has_every_exit_status_in_order(manual):
    section = manual.read_text().split(".Sh EXIT STATUS")[1].split(".Sh EXAMPLES")[0]
    assert re.findall(r"^\.It (.+)$", section, re.M) == ["2", "3", "8", "129, 130, 143", "7", "1", "5", "6", "0"]


def test_version(migrate):
    assert re.fullmatch(r"kesfs-migrate \d+\.\d+\.\d+\n", migrate("-V").expect(0).out)


def test_help_fits_a_terminal(migrate):
    assert max(map(len, migrate("-h").expect(0).lines)) <= 96


@pytest.mark.parametrize("words, said", [
    ([], "--from is missing"),
    (["--from", "a"], "--to is missing"),
    (["--from", "a", "--from", "a", "--to", "b"], "--from was given twice"),
    (["--from", "a", "--to", "b", "--target", "c"], "--to"),
    (["--from", "a", "--to", "b", "--force", "--merge"], "--force and --merge"),
    (["--from", "a", "--to", "b", "--check", "--force"], "write nothing"),
    (["--from", "a", "--to", "b", "--check", "-n"], "write nothing"),
    (["--from", "a", "--to", "b", "--backup-to", "c"], "--backup-to goes with --force"),
    (["--from", "a", "--to", "b", "--long"], "--long goes with --list"),
    (["--from", "a", "--to", "b", "--list"], "leave --to out"),
    (["--from", "a", "--list", "--check"], "--check and --list"),
    (["--from", "a", "--to", "b", "-q", "-v"], "--quiet"),
    (["--from", "a", "--to", "b", "-j", "0"], "--transfers 0"),
    (["--from", "a", "--to", "b", "-j", "two"], "--transfers two"),
    (["--from", "a", "--to", "b", "--tpslimit", "-1"], "--tpslimit -1"),
    (["--from", "a", "--to", "b", "--timeout", "0"], "--timeout 0"),
    (["--from", "a", "--to", "b", "--max-errors", "1x"], "--max-errors 1x"),
    (["--from", "", "--to", "b"], "--from: the value is empty"),
    (["--from"], "--from needs a value"),
    (["--from", "a", "--to", "b", "--merge=yes"], "--merge takes no value"),
    (["--from", "a", "--to", "b", "--frobnicate"], "--frobnicate"),
    (["--from", "a", "--to", "b", "-x"], "-x"),
    (["--from", "a", "--to", "b", "-s", "host"], "MinIO KMS"),
    (["--from", "a", "--to", "b", "-e", "enclave"], "MinIO KMS"),
    (["--from", "a", "--to", "b", "-a", "key"], "MinIO KMS"),
    (["--from", "a", "--to", "b", "-k"], "MinIO KMS"),
])
def test_a_wrong_command_line_is_one_sentence_and_2(migrate, words, said):
    result = migrate(*words).expect(2)
    assert result.out == "" and result.err.count("\n") == 1
    assert result.err.startswith("kesfs-migrate: ") and said in result.err


def test_options_may_follow_operands(migrate, sides):
    a, b = sides
    migrate("alpha", "--from", a.path, "be*", "--to", b.path, "-q").expect(0)
    assert b.names() == ["alpha", "beta"]


def test_tpslimit_and_timeout_are_taken(migrate, sides):
    a, b = sides
    migrate("--from", a.path, "--to", b.path, "--tpslimit", "500", "--timeout", "7.5", "--max-errors", "3").expect(0)
    assert b.all() == a.all()
