"""A byte of one node's journal rots while it is stopped. The node mends itself from the others and has everything.

Usage: repair.py BINARY OFFSET
"""

import os
import sys
import tempfile

from node import Cluster, Ports, bodies, deliver, http, login, message, run, until

BINARY, OFFSET = sys.argv[1], int(sys.argv[2])
PORTS = {node: Ports(node, OFFSET) for node in [1, 2, 3]}
USER, SHARDS, COUNT = "alice@example.org", 2, 40


def replication(node):
    return http(PORTS[node].http, "/health/replication")[1]


def rot(node, needle):
    """Flips a byte in the middle of a frame of this node's journal that holds `needle`."""
    journal = os.path.join(CLUSTER.folder(node), "journal")
    for name in sorted(os.listdir(journal)):
        path = os.path.join(journal, name)
        with open(path, "r+b") as file:
            at = file.read().find(needle)
            if at >= 0:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1]))
                return name
    raise AssertionError(f"{needle} is in no segment")


def settled():
    seen = []
    for node in [1, 2, 3]:
        health = replication(node)
        if health["status"] != "ok" or health["problems"]:
            return False
        seen.append([(s["shard"], s["digest"]["position"], s["digest"]["value"]) for s in health["shards"]])
    return all(rows == seen[0] for rows in seen)


def check(node, sent):
    found = bodies(login(PORTS[node].imap, USER))
    assert [octets for octets, _ in found.values()] == sent, f"node {node}: {len(found)} messages"


def main(processes):
    sent = []
    to = ["--server", f"http://127.0.0.1:{PORTS[1].http}", "--data", CLUSTER.dir]
    run(BINARY, "account", "add", USER, "--password-stdin", *to, stdin="demo\n")
    for number in range(COUNT):
        data = message(number)
        deliver(PORTS[1 + number % 3].lmtp, USER, data)
        sent.append(data)
    until("all agree", settled)
    assert processes[2].terminate() == 0
    # A recipient's trace is stored as it is; so this lies in the payload of an entry.
    rot(2, b"Delivered-To: alice@example.org")
    damaged = run(BINARY, "verify", "--data", CLUSTER.folder(2), expect=1)
    assert "entry" in damaged, damaged
    CLUSTER.start(2)
    until("node 2 is whole again", settled)
    with open(CLUSTER.log(2)) as log:
        assert "a rotten entry is mended from a peer" in log.read()
    check(2, sent)
    deliver(PORTS[2].lmtp, USER, message("after"))
    sent.append(message("after"))
    until("all agree again", settled)
    # Once more from the start: it needs nobody now.
    assert processes[2].terminate() == 0
    CLUSTER.start(2)
    until("node 2 starts whole", settled)
    for node in [1, 2, 3]:
        check(node, sent)


with tempfile.TemporaryDirectory() as top:
    CLUSTER = Cluster(BINARY, top, OFFSET, SHARDS, {1: "a", 2: "a", 3: "b"})
    with CLUSTER.running(PORTS) as processes:
        main(processes)
