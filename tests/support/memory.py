# SPDX-License-Identifier: Apache-2.0
"""Look into the memory of another process for secrets.  Not by a core image: that leaves out what is not dumped."""
import base64
import os
import pathlib
import re

import pytest


def may_look():
    """Skips where the memory of a process that is not dumpable cannot be read, or is not ours to wipe."""
    if os.geteuid() != 0:
        pytest.skip("only root may read the memory of a process that is not dumpable")
    if os.environ.get("KESFS_TEST_SANITIZED"):
        pytest.skip("sanitizers keep freed memory; wiping it is off there")


def marks(value):
    """What betrays a stored value in the older or newer format: a part of its text, and the key's own bytes."""
    found = [value[10:42]]
    text = re.search(rb'"bytes":"([^"]+)"', value)
    raw = base64.b64decode(text.group(1)) if text else base64.b64decode(value)[4:36]
    return found + [raw[:24], base64.b64encode(raw)[:32]]


def regions(pid):
    """(where, bytes) of everything readable."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, mode, *rest = line.split()
            name = rest[3] if len(rest) > 3 else "anonymous"
            if mode[0] != "r" or name.startswith(("[vvar", "[vsyscall", "[vdso")):
                continue
            begin, end = (int(word, 16) for word in span.split("-"))
            for start in range(begin, end, 16 << 20):
                try:
                    mem.seek(start)
                    yield name, mem.read(min(end - start, 16 << 20))
                except OSError:
                    break


def find(pid, values):
    """{name: where} of the values ({name: bytes}) that are somewhere in the memory of pid."""
    wanted = [(name, mark) for name, value in values.items() for mark in marks(value)]
    found = {}
    for where, piece in regions(pid):
        found.update((name, where) for name, mark in wanted if mark in piece)
    return found


def in_page_cache(path):
    """How many pages of a file are there, without reading it."""
    import ctypes
    import mmap
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return 0
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_PRIVATE, file.fileno(), 0)
        assert address != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
        pages = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE
        resident = (ctypes.c_ubyte * pages)()
        assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), resident) == 0
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
        return sum(byte & 1 for byte in resident)


def on_disk(folders, values, but=()):
    """Files below folders, outside of the stores in but, that hold one of the values."""
    wanted = [mark for value in values.values() for mark in marks(value)]
    found = []
    for folder in folders:
        for file in pathlib.Path(folder).rglob("*"):
            if file.is_file() and not file.is_symlink() and not any(file.is_relative_to(place) for place in but):
                content = file.read_bytes()
                found += [file] if any(mark in content for mark in wanted) else []
    return found
