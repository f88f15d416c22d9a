"""Raw IMAP over one socket: commands exactly as a mail program writes them, answers with their literals."""

import re
import socket

TIMEOUT_S = 30


class Wire:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.file = self.socket.makefile("rb")
        self.number = 0
        self.greeting = self.response()

    def send(self, octets):
        self.socket.sendall(octets)

    def response(self):
        """One response without its last CR LF, literals included."""
        whole = b""
        while True:
            line = self.file.readline()
            assert line.endswith(b"\r\n"), f"the connection ended within {whole + line!r}"
            whole += line[:-2]
            literal = re.search(rb"\{(\d+)\}$", line[:-2])
            if not literal:
                return whole
            size = int(literal[1])
            octets = self.file.read(size)
            assert len(octets) == size, f"{len(octets)} of {size} octets of a literal"
            whole += b"\r\n" + octets

    def command(self, text, expect="OK", literal=None):
        """Untagged responses and the tagged one behind its tag; `literal` goes out once the server asks for it."""
        self.number += 1
        tag = f"{self.number:04}".encode()
        self.send(tag + b" " + text.encode() + b"\r\n")
        if literal is not None:
            go = self.response()
            assert go.startswith(b"+"), f"{text}: {go!r} instead of +"
            self.send(literal + b"\r\n")
        untagged = []
        while True:
            line = self.response()
            if line.startswith(tag + b" "):
                done = line[len(tag) + 1 :]
                assert done.startswith(expect.encode()), f"{text}: {done!r} instead of {expect}"
                return untagged, done
            assert line.startswith(b"* "), f"{text}: {line!r} is neither untagged nor ours"
            untagged.append(line[2:])

    def one(self, text, start, **more):
        """The only untagged response beginning with `start`."""
        untagged, done = self.command(text, **more)
        found = [line for line in untagged if line.startswith(start)]
        assert len(found) == 1, f"{text}: {len(found)} times {start!r} in {untagged!r} {done!r}"
        return found[0]

    def idle(self):
        self.number += 1
        self.send(f"{self.number:04} IDLE\r\n".encode())
        go = self.response()
        assert go.startswith(b"+"), f"IDLE: {go!r}"

    def done(self):
        """Ends IDLE; what still came before the tagged OK."""
        tag = f"{self.number:04} ".encode()
        self.send(b"DONE\r\n")
        untagged = []
        while not (line := self.response()).startswith(tag):
            untagged.append(line[2:])
        assert line.startswith(tag + b"OK"), line
        return untagged

    def close(self):
        self.file.close()
        self.socket.close()


def flags(response):
    found = re.search(rb"FLAGS \(([^)]*)\)", response)
    assert found, f"no FLAGS in {response!r}"
    return set(found[1].split())


def number(name, response):
    found = re.search(rb"\b" + name.encode() + rb" \(?(\d+)", response)
    assert found, f"no {name} in {response!r}"
    return int(found[1])


def literals(response):
    """The octets of each literal of one response, in order."""
    found, at = [], 0
    while match := re.compile(rb"\{(\d+)\}\r\n").search(response, at):
        size = int(match[1])
        found.append(response[match.end() : match.end() + size])
        at = match.end() + size
    return found
