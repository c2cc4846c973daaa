#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of Dalio in nothing but Python's standard library, after docs/wire.md.

    example_client.py IP:PORT put KEY VALUE | get KEY | delete KEY

Exit status: 0 done, 1 the key is absent, 2 wrong usage, 3 the outcome is unknown,
4 it did not happen.
"""

import secrets
import socket
import struct
import sys
import time

HEADER = struct.Struct(">HBBBBBBIIIIQQQQQHH4sH6sQ")
OPEN_REQUEST, OPEN_RESPONSE, READ_REQUEST, READ_RESPONSE, WRITE_REQUEST, WRITE_RESPONSE = range(1, 7)
NONE, PUT, DELETE = range(3)
OK, BUSY = 1, 2
MAX_KEY, MAX_PAYLOAD = 250, 1384
SESSION_IDLE = 20.0  # An older session may be given to another client.


class Unknown(Exception):
    """The write may have taken effect, or may yet."""


class DidNotHappen(Exception):
    """It has not taken effect and never will."""


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


class Client:
    """One session: one operation at a time."""

    def __init__(self, host, port, timeout=2.0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((host, port))
        self.timeout, self.request = timeout, secrets.randbits(62)
        self.session, self.used = 0, 0.0

    def get(self, key):
        """Returns the value, or None if the key is absent."""

        def answers(m):
            return m["type"] == READ_RESPONSE and m["status"] == OK and m["key"] == key and (
                m["op"] == NONE or m["digest"] == crc32c(key + m["value"]))

        answer = self._ask(READ_REQUEST, NONE, key, b"", answers)
        if answer is None:
            raise DidNotHappen("no answer to the read")
        return answer["value"] if answer["op"] == PUT else None

    def put(self, key, value):
        self._write(PUT, key, value)

    def delete(self, key):
        self._write(DELETE, key, b"")

    def _write(self, op, key, value):
        if not self.session or time.monotonic() - self.used > SESSION_IDLE:
            self._open()
        # BUSY is no answer: another copy of the request may still be accepted.
        answer = self._ask(WRITE_REQUEST, op, key, value, lambda m: (
            m["type"] == WRITE_RESPONSE and m["session"] == self.session and m["status"] != BUSY))
        if answer is None or answer["status"] != OK:
            self.session = 0  # Its slot may stay taken by this write.
            raise Unknown("the write was not confirmed")
        self.used = time.monotonic()

    def _open(self):
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            answer = self._ask(OPEN_REQUEST, NONE, b"", b"", lambda m: m["type"] == OPEN_RESPONSE,
                               request=secrets.randbits(64) or 1)
            if answer and answer["status"] == OK:
                self.session = answer["session"]
                return
            time.sleep(0.01)  # No free slot for that nonce: try another.
        raise DidNotHappen("no session could be opened")

    def _ask(self, kind, op, key, value, answers, request=None):
        """Sends a request again and again until an answer fits or the time is over."""
        if request is None:
            self.request += 1
            request = self.request
        deadline, wait, attempt = time.monotonic() + self.timeout, 0.01, 0
        while (now := time.monotonic()) < deadline:
            self.socket.send(encode(kind, op, min(attempt, 255), self.session, request, key, value))
            until = min(now + wait, deadline)
            while (left := until - time.monotonic()) > 0:
                self.socket.settimeout(left)
                try:
                    m = decode(self.socket.recv(2048))
                except (TimeoutError, ConnectionRefusedError):
                    break
                if m and m["request"] == request and answers(m):
                    return m
            time.sleep(max(0.0, until - time.monotonic()))
            wait, attempt = min(2 * wait, 0.25), attempt + 1
        return None


def check_size(key, value):
    if not 1 <= len(key) <= MAX_KEY or len(key) + len(value) > MAX_PAYLOAD:
        raise ValueError(f"a key has 1 to {MAX_KEY} bytes, key and value {MAX_PAYLOAD} at most")


def encode(kind, op, attempt, session, request, key, value):
    digest = crc32c(key + value) if kind == WRITE_REQUEST else 0
    return HEADER.pack(0xDA10, 2, kind, op, 0, attempt, 0, 0, 0, 0, digest, 0, session, request, 0,
                       0, len(key), len(value), bytes(4), 0, bytes(6), fnv1a(key) if key else 0) + key + value


def decode(datagram):
    if len(datagram) < HEADER.size:
        return None
    f = HEADER.unpack_from(datagram)
    key_end = HEADER.size + f[16]
    if f[0] != 0xDA10 or f[1] != 2 or len(datagram) != key_end + f[17]:
        return None
    return {"type": f[2], "op": f[3], "status": f[4], "digest": f[10], "session": f[12], "request": f[13],
            "key": datagram[HEADER.size:key_end], "value": datagram[key_end:]}


def main(arguments):
    operations = {"put": (Client.put, 2), "get": (Client.get, 1), "delete": (Client.delete, 1)}
    try:
        address, name, *rest = arguments
        operation, count = operations[name]
        host, port = address.rsplit(":", 1)
        client = Client(host, int(port))
        if len(rest) != count:
            raise ValueError("one argument more or less is needed")
        rest = [text.encode() for text in rest]
        check_size(rest[0], rest[-1] if name == "put" else b"")
    except (ValueError, KeyError, OSError) as e:
        print(f"{__doc__.strip()}\n\n{e}", file=sys.stderr)
        return 2
    try:
        value = operation(client, *rest)
    except Unknown as e:
        print(f"unknown outcome: {e}", file=sys.stderr)
        return 3
    except DidNotHappen as e:
        print(f"did not happen: {e}", file=sys.stderr)
        return 4
    if name == "get":
        if value is None:
            return 1
        sys.stdout.buffer.write(value + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
