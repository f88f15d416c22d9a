"""One node, real sockets, Python's smtplib and imaplib: what was acknowledged is there after `kill -9`."""

import os
import subprocess
import sys
import tempfile

from node import Ports, Process, bodies, deliver, http, login, message, run, until

BINARY, OFFSET, COUNT = sys.argv[1], int(sys.argv[2]), 20


def reader_goes_away(*args):
    """As in `gotthard status | head`: no panic."""
    gone, ours = os.pipe()
    os.close(gone)
    done = subprocess.run([BINARY, *args], stdout=ours, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(ours)
    assert done.stderr == "", done.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        ports = Ports(1, OFFSET)
        data = os.path.join(folder, "data")
        config = os.path.join(folder, "gotthard.toml")
        with open(config, "w") as out:
            out.write(
                f'[node]\ndata = "{data}"\n[listen]\nimap = "127.0.0.1:{ports.imap}"\n'
                f'lmtp = "127.0.0.1:{ports.lmtp}"\nhttp = "127.0.0.1:{ports.http}"\n'
                "[cluster]\nmail_shards = 2\n[limits]\njournal_reserve_bytes = 1048576\n"
            )
        start = lambda: Process(BINARY, "serve", "--config", config)
        ready = lambda: http(ports.http, "/health/ready")[0] == 200
        server = start()
        try:
            until("the node is ready", ready)
            to = ["--server", f"http://127.0.0.1:{ports.http}", "--data", data]
            run(BINARY, "account", "add", "alice@example.org", "--password-stdin", *to, stdin="demo\n")
            run(BINARY, "account", "add", "alice@example.org", "--password-stdin", *to, stdin="demo\n", expect=1)
            assert "alice@example.org" in run(BINARY, "account", "list", *to)
            reader_goes_away("status", *to)

            sent = [message(number) for number in range(COUNT)]
            sent.append(message("large", 3_000_000))
            replies = [deliver(ports.lmtp, "Alice+Nowhere@Example.ORG", data) for data in sent]
            assert all("<" in reply for reply in replies), replies
            assert len(set(replies)) == len(replies), "each receipt names one log position"

            def check(flagged):
                imap = login(ports.imap)
                found = bodies(imap)
                assert list(found) == sorted(found), "UIDs ascend"
                assert [octets for octets, _ in found.values()] == sent, "byte for byte behind the trace"
                for uid, (_, flags) in found.items():
                    assert (b"\\Flagged" in flags) == (uid in flagged), (uid, flags)
                return imap

            imap = check(set())
            imap.select("INBOX")
            assert imap.uid("STORE", "2:3", "+FLAGS", "(\\Flagged)")[0] == "OK"
            assert imap.uid("COPY", "2", "Archive")[0] == "OK"
            imap.logout()
            server.kill()

            server = start()
            until("the node is ready again", ready)
            imap = check({2, 3})
            assert len(bodies(imap, "Archive")) == 1
            status, health = http(ports.http, "/health/replication")
            assert health["mode"] == "single_site", health
            assert (status, health["status"]) == (200, "ok"), health
            export = os.path.join(folder, "export")
            run(BINARY, "export", "--account", "alice@example.org", export, *to)
            exported = sorted(os.listdir(os.path.join(export, "cur")), key=lambda name: name.split(".")[1])
            read = [open(os.path.join(export, "cur", name), "rb").read() for name in exported]
            assert read == sent, "export gives what came in"

            assert server.terminate() == 0
            server = None
            assert "agree" in run(BINARY, "verify", "--data", data)
            flip(data)
            output = run(BINARY, "verify", "--data", data, expect=1)
            assert "PROBLEM" in output and "offset" in output and "shard" in output, output

            server = start()
            until("a node with a hole serves its other shards", ready)
            _, health = http(ports.http, "/health/replication")
            holes = [problem for problem in health["problems"] if problem["code"] == "journal_hole"]
            assert holes and ".segment at offset" in holes[0]["text"], health["problems"]
            running = {shard["shard"] for shard in health["shards"]}
            assert 0 in running and len(running) == 2, "the shard with the hole does not start, the others do"
            imap = login(ports.imap)
            assert imap.select("INBOX")[0] == "NO", "nothing is shown of a log that is not whole"
        finally:
            if server:
                server.kill()


def flip(data):
    """One byte in the middle of the written part of the first segment."""
    journal = os.path.join(data, "journal")
    segment = os.path.join(journal, sorted(name for name in os.listdir(journal) if name.endswith(".segment"))[0])
    with open(segment, "r+b") as file:
        octets = file.read()
        at = len(octets.rstrip(b"\0")) // 2
        file.seek(at)
        file.write(bytes([octets[at] ^ 0x40]))


main()
