# SPDX-License-Identifier: Apache-2.0
"""kesfs-migrate is killed at random moments.  Whenever that is, each key at the target is the old one or the new one
and whole, the source is as it was, and the same command run again finishes the work."""
import signal
import time

import pytest

KEYS = {"tmp": 600, "disk": 200}


class Case:
    """A source, and what the target holds before and after each run of one mode."""

    def __init__(self, mode, keys, count):
        self.arguments = {"default": [], "merge": ["--merge"], "force": ["--force"]}[mode]
        self.source = keys.many(count)
        names = list(self.source)
        self.before = {}
        if mode != "default":           # a third differs, a third is there already, a third is missing
            self.before = {name: keys.a() for name in names[0::3]}
            self.before.update({name: self.source[name] for name in names[1::3]})
        self.after = {**self.source, **(self.before if mode == "merge" else {})}
        self.status = 6 if mode == "merge" else 0

    def check_whole(self, target, round_):
        now = {name: value for name, value in target.all().items() if not name.startswith(".")}
        assert set(now) <= set(self.source), round_
        for name, value in now.items():
            assert value in (self.before.get(name), self.after[name]), f"{name} is damaged: {round_}"
        assert set(self.before) <= set(now), f"lost: {sorted(set(self.before) - set(now))}: {round_}"


@pytest.fixture(params=["tmp", "disk"])
def place(request):
    return request.getfixturevalue(request.param), KEYS[request.param]


@pytest.mark.limit(1800)
@pytest.mark.parametrize("mode", ["default", "merge", "force"])
def test_a_killed_run_leaves_whole_keys_and_the_next_one_finishes(mode, place, store, keys, programs, rounds):
    where, count = place
    case = Case(mode, keys, count)
    source = store("source", case.source, place=where)
    full = None
    for round_ in rounds:
        target = store(f"target-{rounds.done}", case.before, place=where)
        command = [programs.kesfs_migrate, *case.arguments, "--from", source.path, "--to", target.path]
        if full is None:                # how long is a run that nobody kills?
            began = time.monotonic()
            programs.run(*command).expect(case.status)
            full = time.monotonic() - began
            continue
        process = programs.start(command)
        rounds.wait(full, process)
        process.send_signal(signal.SIGKILL)
        programs.finish(process, check=False)
        case.check_whole(target, round_)
        programs.run(*command).expect(case.status)
        assert {name: value for name, value in target.all().items() if not name.startswith(".")} == case.after, round_
        _empty(target)
    assert source.all() == case.source


@pytest.mark.limit(1800)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_stop_leaves_no_temporary_file(number, tmp, store, keys, programs, rounds):
    case = Case("force", keys, 600)
    source = store("source", case.source)
    full = 0.05
    rounds.seconds = min(rounds.seconds, 1)
    for round_ in rounds:
        target = store(f"target-{rounds.done}", case.before)
        process = programs.start([programs.kesfs_migrate, "--force", "--from", source.path, "--to", target.path])
        rounds.wait(full, process)
        process.send_signal(number)
        # 128 + number by our own hand, or by the system's before main() could see to it.
        result = programs.finish(process).expect({0, 128 + number})
        assert not [name for name in target.names() if name.startswith(".")], round_
        case.check_whole(target, round_)
        if result.returncode >= 0 and result.status != 0:
            assert "kesfs-migrate" in result.err or "->" in result.err, round_
        _empty(target)


@pytest.mark.parametrize("place", ["tmp", "disk"], indirect=True)
def test_two_helpers_with_one_source_both_finish(place, store, keys, programs):
    where, count = place
    source = store("source", keys.many(count), place=where)
    target = store("target", place=where)
    command = [programs.kesfs_migrate, "--merge", "--from", source.path, "--to", target.path]
    both = [programs.start(command), programs.start(command)]
    for process in both:
        programs.finish(process).expect(0)
    assert target.all() == source.all()


def test_of_two_helpers_with_other_values_each_key_is_one_ones(store, keys, programs):
    sources = [store("one", keys.many(1000)), store("two", keys.many(1000))]
    target = store("target")
    both = [programs.start([programs.kesfs_migrate, "--merge", "-v", "--from", source.path, "--to", target.path])
            for source in sources]
    results = [programs.finish(process).expect({0, 6}) for process in both]
    won = [sum(target.value(name) == value for name, value in source.all().items()) for source in sources]
    assert sum(won) == 1000 and len(target.all()) == 1000
    for result, own in zip(results, won):
        assert result.status == (0 if own == 1000 else 6)


def test_of_two_helpers_that_force_each_key_is_one_ones(store, keys, programs):
    sources = [store("one", keys.many(500)), store("two", keys.many(500))]
    target = store("target", keys.many(500))
    both = [programs.start([programs.kesfs_migrate, "--force", "--from", source.path, "--to", target.path])
            for source in sources]
    for process in both:
        assert programs.finish(process).status in (0, 1, 5, 6)
    one, two = sources[0].all(), sources[1].all()
    for name, value in target.all().items():
        assert value in (one[name], two[name]), name
    assert len(target.all()) == 500


def _empty(store_):
    for name in store_.names():
        (store_.path / name).unlink()
    store_.path.rmdir()
