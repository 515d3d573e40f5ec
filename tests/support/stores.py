# SPDX-License-Identifier: Apache-2.0
"""A directory key store with its KES configuration file."""
import os
import pathlib


class Store:
    """path: the directory; config: a KES server configuration file that names it."""

    def __init__(self, place, name, keys=None):
        self.path = pathlib.Path(place) / name
        self.path.mkdir(mode=0o700)
        self.config = pathlib.Path(place) / f"{name}.yml"
        self.config.write_text(f"version: v1\nkeystore:\n  fs:\n    path: {self.path}\n")
        for key, value in (keys or {}).items():
            self.put(key, value)

    def put(self, name, value):
        """Write a file straight into the directory, as somebody else would."""
        temporary = self.path / f".{name}.putting"[:255]
        temporary.write_bytes(value)
        temporary.chmod(0o600)
        temporary.rename(self.path / name)

    def remove(self, name):
        """Likewise."""
        (self.path / name).unlink()

    def value(self, name):
        return (self.path / name).read_bytes()

    def names(self):
        return sorted(os.listdir(self.path))

    def all(self):
        """{name: value} of the regular files."""
        return {name: (self.path / name).read_bytes() for name in self.names()
                if (self.path / name).is_file() and not (self.path / name).is_symlink()}

    def __fspath__(self):
        return str(self.path)

    __str__ = __fspath__
