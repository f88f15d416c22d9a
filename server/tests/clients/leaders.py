"""Kills of a node that leads, under load: how long clients of the other nodes wait, and whether anybody gets an error.

`leaders.py BINARY OFFSET KILLS`. Deliveries and flag changes at the two nodes that stay; each client sends its next command
when it has the answer to the one before, so the longest answer around a kill is the pause.
"""

import os
import sys
import tempfile
import threading
import time

from node import Ports, deliver, http, login, message, running_demo, until

BINARY, OFFSET, KILLS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
PORTS = {node: Ports(node, OFFSET) for node in [1, 2, 3]}
USERS = ["alice@example.org", "bob@example.org", "carol@example.org"]
WATCHED_S = 4


class Client(threading.Thread):
    """Commands at one node, back to back. Times are of the monotonic clock."""

    def __init__(self, node, user, flags):
        super().__init__(daemon=True)
        self.node, self.user, self.flags = node, user, flags
        self.done, self.errors, self.stop = [], [], False
        self.start()

    def run(self):
        imap = login(PORTS[self.node].imap, self.user) if self.flags else None
        if imap:
            imap.select("INBOX")
        number = 0
        while not self.stop:
            number += 1
            begun = time.monotonic()
            try:
                if imap:
                    how = "+FLAGS" if number % 2 else "-FLAGS"
                    kind, text = imap.uid("STORE", "1", how, "(\\Flagged)")
                    assert kind == "OK", text
                else:
                    deliver(PORTS[self.node].lmtp, self.user, message(f"{self.name}-{begun}"))
            except Exception as error:  # Whatever it is, it counts.
                self.errors.append(repr(error))
                return
            self.done.append((begun, time.monotonic() - begun))


def leaders():
    shards = http(PORTS[3].http, "/health/replication")[1]["shards"]
    return [shard["leader"] for shard in shards if shard["shard"] > 0]


def is_well():
    status, health = http(PORTS[3].http, "/health/replication")
    return status == 200 and health["status"] == "ok" and not health["problems"] and {1, 2} <= set(leaders())


def kill_one(victim):
    others = [node for node in PORTS if node != victim]
    clients = [Client(others[i % 2], USERS[i % 3], flags=i >= 4) for i in range(6)]
    time.sleep(1)
    pid = http(PORTS[victim].http, "/health/replication")[1]["node"]["pid"]
    os.kill(pid, 9)
    at = time.monotonic()
    time.sleep(WATCHED_S)
    for client in clients:
        client.stop = True
    for client in clients:
        client.join(60)
    assert not any(client.is_alive() for client in clients), "a command hangs"
    waits = [took for client in clients for begun, took in client.done if begun + took > at]
    return max(waits), [error for client in clients for error in client.errors], sum(len(c.done) for c in clients)


def main():
    with tempfile.TemporaryDirectory() as folder, running_demo(BINARY, folder, OFFSET, "--no-sample"):
        until("the demo accounts are there", lambda: [login(ports.imap, user).logout() for ports in PORTS.values() for user in USERS])
        for user in USERS:
            deliver(PORTS[3].lmtp, user, message(f"first-{user}"))
        pauses, errors, commands = [], [], 0
        for turn in range(KILLS):
            until("all is well, and both nodes of the larger site lead", is_well)
            pause, failed, done = kill_one(1 + turn % 2)
            pauses.append(pause)
            errors += failed
            commands += done
            print(f"{turn + 1} of {KILLS}: {pause:.2f} s, {len(failed)} errors", flush=True)
        pauses.sort()
        at = lambda share: pauses[min(len(pauses) - 1, int(len(pauses) * share))]
        print(f"{KILLS} kills of a leader, {commands} commands, {len(errors)} errors {sorted(set(errors))[:3]}")
        print(f"pause: p50 {at(0.5):.2f} s, p90 {at(0.9):.2f} s, p99 {at(0.99):.2f} s, longest {pauses[-1]:.2f} s")
        assert not errors


main()
