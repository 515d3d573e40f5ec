# SPDX-License-Identifier: Apache-2.0
"""Random sequences of operations on one mounted file, compared with a model: through the kernel, on a directory.  What
fuzz_operations.c tries far more of, without a kernel, this tries with one.

The model: an open file is a buffer, which begins as the stored value (empty after O_TRUNC); write, truncate and read
work on it; close stores it if it was changed.  What is empty never replaces a value: not even one that was removed just
before, as install, mv and tar do; that one comes back."""
import contextlib
import os
import random

import pytest

NAME = "key"


class Model:
    def __init__(self, value):
        self.value = value          # what the store holds, or None
        self.buffer = None          # of the open file
        self.changed = False
        self.removed = None         # the value that was removed last

    def open(self, flags):
        self.buffer = bytearray() if flags & os.O_TRUNC or self.value is None else bytearray(self.value)
        self.changed = self.value is None or bool(flags & os.O_TRUNC)

    def write(self, data, offset):
        if len(self.buffer) < offset:
            self.buffer.extend(bytes(offset - len(self.buffer)))
        self.buffer[offset:offset + len(data)] = data
        self.changed = True

    def truncate(self, size):
        self.changed |= size != len(self.buffer)
        self.buffer[size:] = bytes(max(0, size - len(self.buffer)))

    def store(self):
        """Whether it must succeed."""
        if not self.buffer:
            return False
        if self.changed:
            self.value = bytes(self.buffer)
            self.changed = False
        return True


def session(dice, model, path, store):
    """One open file from open to close."""
    flags = os.O_RDWR | dice.choice([0, os.O_TRUNC, os.O_APPEND])
    if model.value is None:
        flags |= os.O_CREAT | dice.choice([0, os.O_EXCL])
    model.open(flags)
    done = [f"open {flags:o}"]
    fd = os.open(path, flags, 0o600)
    try:
        for _ in range(dice.randrange(12)):
            operation = dice.choice(["write", "write", "truncate", "read", "fstat", "fsync"])
            size, offset = dice.choice([1, 7, 208, 4096, 9000]), dice.choice([0, 1, 100, 5000])
            done.append(f"{operation} {size} {offset}")
            if operation == "write":
                data = dice.randbytes(size)
                offset = len(model.buffer) if flags & os.O_APPEND else offset
                model.write(data, offset)
                if flags & os.O_APPEND:
                    assert os.write(fd, data) == size, done
                else:
                    assert os.pwrite(fd, data, offset) == size, done
            elif operation == "truncate":
                model.truncate(offset)
                os.ftruncate(fd, offset)
            elif operation == "read":
                assert os.pread(fd, size, offset) == model.buffer[offset:offset + size], done
            elif operation == "fstat":
                assert os.fstat(fd).st_size == len(model.buffer), done
            elif model.store():         # one that is refused ends the file: nothing follows but its close
                os.fsync(fd)
                assert store.value(NAME) == model.value, done
    finally:
        if model.store():
            os.close(fd)
        else:
            with contextlib.suppress(OSError):
                os.close(fd)
            if model.value is None and store.names() == [NAME]:
                model.value = store.value(NAME)
                assert model.value == model.removed, done
    return done


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_file_on_a_mount_does_what_its_model_does(seed, mount, store, keys):
    dice = random.Random(seed)
    kept = store("kept", {NAME: keys.a()})
    model = Model(kept.value(NAME))
    with mount(kept.config, "-o", "overwrite,delete,raw") as m:
        for _ in range(60):
            if model.value is not None and dice.randrange(6) == 0:
                os.unlink(m / NAME)
                model.removed, model.value = model.value, None
                assert kept.names() == []
            done = session(dice, model, m / NAME, kept)
            assert kept.all() == ({} if model.value is None else {NAME: model.value}), done
            assert os.listdir(m) == kept.names(), done
            if model.value is not None:
                assert (m / NAME).read_bytes() == model.value, done
