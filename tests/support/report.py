# SPDX-License-Identifier: Apache-2.0
"""Counts for tests/run:
    report.py meson TESTLOG         "PASSED FAILED SKIPPED": the cmocka tests inside, or one for a program without
    report.py meson-skipped TESTLOG what skipped itself, a name a line
    report.py pytest REPORT AGAIN   the same; what passed on the second try is passed
    report.py again REPORT          what may be tried once more, a name a line; nothing if too much failed
    report.py failed REPORT AGAIN   what failed in the end
    report.py skipped REPORT        "reason (how many tests)", a line each"""
import collections
import json
import pathlib
import re
import sys

AGAIN_AT_MOST = 5


def load(path):
    file = pathlib.Path(path)
    return json.loads(file.read_text()) if file.exists() else None


def failures(report, again):
    """{name: grave} of what failed in the end."""
    left = dict(report["failed"])
    if again:
        for name in again["passed"]:
            left.pop(name, None)
        left.update({name: grave for name, grave in again["failed"].items() if grave})
    for line in report["leftovers"] + (again["leftovers"] if again else []):
        left[line] = True
    if report["status"] not in (0, 1, 5) and not left:
        left[f"pytest itself: status {report['status']}"] = True
    return left


def may_try_again(report):
    failed = report["failed"]
    if report["leftovers"] or len(failed) > AGAIN_AT_MOST or any(failed.values()) or report["status"] != 1:
        return []
    return list(failed)


def meson_counts(path):
    passed = failed = skipped = 0
    for line in pathlib.Path(path).read_text().splitlines():
        test = json.loads(line)
        said = test.get("stdout", "") + test.get("stderr", "")
        inside = [sum(map(int, re.findall(rf"\[  {word}  ?\] (\d+) test\(s\)", said)))
                  for word in ("PASSED", "FAILED", "SKIPPED")]
        if test["result"] == "OK":
            passed, skipped = passed + max(inside[0], 1), skipped + inside[2]
        elif test["result"] == "SKIP":
            skipped += 1
        else:
            passed, failed = passed + inside[0], failed + max(inside[1], 1)
    return passed, failed, skipped


def meson_skipped(path):
    for line in pathlib.Path(path).read_text().splitlines():
        test = json.loads(line)
        said = test.get("stdout", "") + test.get("stderr", "")
        names = dict.fromkeys(re.findall(r"^\[  SKIPPED \] (\w+)$", said, re.M))
        yield from (f"{test['name']}: {name}: does not apply there" for name in names)
        if test["result"] == "SKIP":
            yield f"{test['name']}: cannot run here"


def main(what, *paths):
    if what == "meson-skipped":
        print("\n".join(meson_skipped(paths[0])))
        return
    if what == "meson":
        print(*meson_counts(paths[0]))
        return
    report, again = load(paths[0]), load(paths[1]) if len(paths) > 1 else None
    if what == "again":
        print("\n".join(may_try_again(report)), end="\n" if may_try_again(report) else "")
    elif what == "pytest":
        left = failures(report, again)
        second = sum(name not in left for name in report["failed"])
        print(len(set(report["passed"])) + second, len(left), len(report["skipped"]))
    elif what == "failed":
        for name in failures(report, again):
            print(name)
    elif what == "skipped":
        for reason, count in collections.Counter(report["skipped"].values()).items():
            print(f"{reason} ({count} test{'s' if count > 1 else ''})")


main(*sys.argv[1:])
