"""A byte of one node's journal rots. The node mends itself from the others and has everything.

Once in a node that is stopped, once while it runs (the scrub finds it, or a read does).

Usage: repair.py BINARY OFFSET
"""

import json
import os
import sys
import tempfile

from node import Ports, Process, bodies, deliver, http, login, message, run, show_end, until

BINARY, OFFSET = sys.argv[1], int(sys.argv[2])
PORTS = {node: Ports(node, OFFSET) for node in [1, 2, 3]}
USER, SHARDS, COUNT = "alice@example.org", 2, 40


def replication(node):
    return http(PORTS[node].http, "/health/replication")[1]


def folder(node):
    return os.path.join(DIR, f"node-{node}")


def log_of(node):
    return os.path.join(DIR, f"node-{node}.log")


def start(node):
    config = os.path.join(folder(node), "gotthard.toml")
    return Process(BINARY, "serve", "--config", config, log=log_of(node))


def lay_out():
    nodes = [f"{node}={site}@127.0.0.1:{node * 1000 + OFFSET + 700}" for node, site in [(1, "a"), (2, "a"), (3, "b")]]
    args = [arg for node in nodes for arg in ("--node", node)]
    run(BINARY, "cluster", "init", "--dir", DIR, "--mail-shards", str(SHARDS), *args)


def rot(node, needle):
    """Flips a byte in the middle of a frame of this node's journal that holds `needle`."""
    journal = os.path.join(folder(node), "journal")
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


def settled(sent):
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


def main():
    lay_out()
    processes = {node: start(node) for node in [1, 2, 3]}
    sent = []
    try:
        for node in [1, 2, 3]:
            until(f"node {node} is ready", lambda: http(PORTS[node].http, "/health/ready")[0] == 200)
        to = ["--server", f"http://127.0.0.1:{PORTS[1].http}", "--data", DIR]
        run(BINARY, "account", "add", USER, "--password-stdin", *to, stdin="demo\n")
        for number in range(COUNT):
            data = message(number)
            deliver(PORTS[1 + number % 3].lmtp, USER, data)
            sent.append(data)
        until("all agree", lambda: settled(sent))
        assert processes[2].terminate() == 0
        # A recipient's trace is stored as it is; so this lies in the payload of an entry.
        rot(2, b"Delivered-To: alice@example.org")
        damaged = run(BINARY, "verify", "--data", folder(2), expect=1)
        assert "entry" in damaged, damaged
        processes[2] = start(2)
        until("node 2 is whole again", lambda: settled(sent))
        with open(log_of(2)) as log:
            assert "a rotten entry is mended from a peer" in log.read()
        check(2, sent)
        deliver(PORTS[2].lmtp, USER, message("after"))
        sent.append(message("after"))
        until("all agree again", lambda: settled(sent))
        # Once more from the start, and after the others are gone: it needs nobody now.
        assert processes[2].terminate() == 0
        processes[2] = start(2)
        until("node 2 starts whole", lambda: settled(sent))
        for node in [1, 2, 3]:
            check(node, sent)
        health = json.dumps(replication(2)["problems"])
        assert "journal_hole" not in health, health
    except BaseException:
        for node in processes:
            show_end(f"node {node}", log_of(node))
        raise
    finally:
        for process in processes.values():
            if process.process.poll() is None:
                process.kill()


with tempfile.TemporaryDirectory() as top:
    DIR = os.path.join(top, "cluster")
    main()
