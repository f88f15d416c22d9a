"""Memory per idle IMAP connection (LOGIN, SELECT, IDLE), and bytes at rest per byte of mail, of one node.

Usage: python3 benches/idle.py BINARY CONNECTIONS [CORPUS]. Prints Markdown. `ulimit -n` must allow the connections.
"""

import glob
import os
import resource
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server", "tests", "clients"))
from node import Ports, Process, http, run, until  # noqa: E402

BINARY, COUNT = sys.argv[1], int(sys.argv[2])
CORPUS = sys.argv[3] if len(sys.argv) > 3 else None
PORTS = Ports(5, 17000)


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def talk(sock, line, until_word):
    sock.sendall(line)
    seen = b""
    while until_word not in seen:
        octets = sock.recv(65536)
        assert octets, seen
        seen += octets


def idle_connection():
    sock = socket.create_connection(("127.0.0.1", PORTS.imap), timeout=30)
    talk(sock, b"", b"* OK")
    talk(sock, b"a LOGIN alice@example.org demo\r\n", b"a OK")
    talk(sock, b"b SELECT INBOX\r\n", b"b OK")
    talk(sock, b"c IDLE\r\n", b"+ ")
    return sock


def deliver_all(paths):
    import smtplib

    total = 0
    with smtplib.LMTP("127.0.0.1", PORTS.lmtp, timeout=60) as lmtp:
        lmtp.ehlo_or_helo_if_needed()
        for path in paths:
            with open(path, "rb") as file:
                octets = file.read()
            assert lmtp.mail("bench@example.net")[0] == 250
            assert lmtp.rcpt("alice@example.org")[0] == 250
            assert lmtp.data(octets)[0] == 250
            total += len(octets)
    return total


def used_bytes(folder):
    """Blocks of the files, without what the journal has set aside and not written."""
    held = reserved = 0
    for root, _, files in os.walk(folder):
        for name in files:
            size = os.stat(os.path.join(root, name)).st_blocks * 512
            held += size
            reserved += size if name.startswith("reserve-") else 0
    return held, reserved


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(COUNT * 2 + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    with tempfile.TemporaryDirectory() as folder:
        data, config = os.path.join(folder, "data"), os.path.join(folder, "gotthard.toml")
        with open(config, "w") as out:
            out.write(
                f'[node]\ndata = "{data}"\n[listen]\nimap = "127.0.0.1:{PORTS.imap}"\n'
                f'lmtp = "127.0.0.1:{PORTS.lmtp}"\nhttp = "127.0.0.1:{PORTS.http}"\n'
                "[limits]\njournal_reserve_bytes = 1048576\n"
            )
        os.environ["GOTTHARD_LOG"] = "warn"
        server = Process(BINARY, "serve", "--config", config)
        try:
            until("the node is ready", lambda: http(PORTS.http, "/health/ready")[0] == 200)
            to = ["--server", f"http://127.0.0.1:{PORTS.http}", "--data", data]
            run(BINARY, "account", "add", "alice@example.org", "--password-stdin", *to, stdin="demo\n")
            mail = deliver_all(sorted(glob.glob(os.path.join(CORPUS, "*.eml")))) if CORPUS else 0
            metrics = http(PORTS.http, "/metrics")[1]
            written = next(
                int(line.split()[1]) for line in metrics.splitlines() if line.startswith("gotthard_journal_written_bytes_total ")
            )
            warm = [idle_connection() for _ in range(20)]
            time.sleep(1)
            before = pss_kib(server.process.pid)
            idle = [idle_connection() for _ in range(COUNT)]
            time.sleep(2)
            after = pss_kib(server.process.pid)
            print(f"- {COUNT} idle connections: {(after - before) / COUNT:.1f} KiB PSS each ({before} to {after} KiB)")
            for sock in warm + idle:
                sock.close()
            assert server.terminate() == 0
            server = None
            if mail:
                views = used_bytes(os.path.join(data, "views"))[0]
                print(
                    f"- {mail} octets of mail: journal {written} ({written / mail:.3f}), views {views} ({views / mail:.3f}),"
                    f" at rest {(written + views) / mail:.3f} bytes per byte; one connection, so one flush for each message"
                )
        finally:
            if server:
                server.kill()


main()
