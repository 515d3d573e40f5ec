# SPDX-License-Identifier: Apache-2.0
"""Key values as a KES server stores them, made here without any code of KES: both formats, and broken ones."""
import base64
import json
import os
import random

CREATOR = "c84cc9b91ae2399b043da7eca616048d4b4200edf2ff418d8af3835911db945d"
# Known values: the key bytes 00..1f, HMAC key 20..3f, 2023-11-14T22:13:20.123456789Z, CREATOR.
KNOWN_A = (b"CiQKIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fEAESJAogICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8QARoL"
           b"CIDiz6oGEJWa7zoiQGM4NGNjOWI5MWFlMjM5OWIwNDNkYTdlY2E2MTYwNDhkNGI0MjAwZWRmMmZmNDE4ZDhhZjM4MzU5MTFkYjk0NWQ=")
KNOWN_B = (b'{"bytes":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","algorithm":"AES256",'
           b'"created_at":"2023-11-14T22:13:20.123456789Z","created_by":"' + CREATOR.encode() + b'"}')


def _varint(number):
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number, value):
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def form_a(key, hmac=None, cipher=1, seconds=1700000000, nanos=123456789, creator=CREATOR):
    """base64 of protobuf: what KES writes.  cipher 1 is AES256, 2 ChaCha20; hmac=b"" leaves the HMAC key out."""
    hmac = bytes(reversed(key)) if hmac is None else hmac
    message = _field(1, _field(1, key) + _field(2, cipher))
    if hmac:
        message += _field(2, _field(1, hmac) + _field(2, 1))
    message += _field(3, _field(1, seconds) + _field(2, nanos))
    if creator:
        message += _field(4, creator.encode())
    return base64.b64encode(message)


def form_b(key, algorithm="AES256", created_at="2023-11-14T22:13:20.123456789Z", creator=CREATOR):
    """JSON, as older KES releases wrote it."""
    return json.dumps({"bytes": base64.b64encode(key).decode(), "algorithm": algorithm, "created_at": created_at,
                       "created_by": creator}, separators=(",", ":")).encode()


class Keys:
    """Makes key values.  Each one's bytes are planted: they must not show up in any output of our programs."""

    def __init__(self, planted, seed=None):
        self.planted = planted
        self.random = random.Random(seed if seed is not None else int.from_bytes(os.urandom(8), "big"))

    def raw(self):
        """32 new key bytes."""
        key = self.random.randbytes(32)
        self.planted.plant(key.hex(), base64.b64encode(key)[:40], key.decode("latin-1"))
        return key

    def a(self, **how):
        """A value in the format that KES writes (208 bytes)."""
        value = form_a(self.raw(), **how)
        self.planted.plant(value[8:44])
        return value

    def b(self, **how):
        """A value in the older JSON format."""
        return form_b(self.raw(), **how)

    def many(self, count, name="key-{:05d}"):
        """{name: value} of count new keys, the last one of each ten in the older format."""
        return {name.format(i): self.b() if i % 10 == 9 else self.a() for i in range(count)}

    def damaged(self):
        """{what is wrong: value}: each begins like a key, or is empty, and no KES server could load it."""
        good = self.a()
        return {
            "empty": b"",
            "truncated": good[:100],
            "no-hmac": form_a(self.raw(), hmac=b""),
            "cipher-3": form_a(self.raw(), cipher=3),
            "31-bytes": form_a(self.raw()[:31]),
            "unpadded": good.rstrip(b"=") if good.endswith(b"=") else good[:-1],
            "json-short": b'{"bytes":"AA=="}',
            "wrapped": b"vault:v1:" + base64.b64encode(self.raw()),
        }

    def foreign(self):
        """Nothing about it looks like a key."""
        return b"Please see the wiki page before touching this directory.\n"
