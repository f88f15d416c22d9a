"""Three nodes in two sites as processes: deliveries and flags while every node in turn is killed with `kill -9`.

What was acknowledged is on each node exactly once; UIDs only rise; views agree.
"""

import os
import smtplib
import sys
import tempfile
import threading
import time

from node import Ports, bodies, deliver, http, login, message, run, running_demo, until

BINARY, OFFSET, ROUNDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
NODES = [1, 2, 3]
PORTS = {node: Ports(node, OFFSET) for node in NODES}
USERS = ["alice@example.org", "bob@example.org", "carol@example.org"]
WORKERS = 4


class Load:
    """Delivers without end; remembers what got a 250, and what has an unknown outcome."""

    def __init__(self):
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.acknowledged, self.unknown, self.refused, self.down = {}, set(), 0, 0
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True) for i in range(WORKERS)]
        for thread in self.threads:
            thread.start()

    def work(self, worker):
        number = 0
        while not self.stop.is_set():
            number += 1
            name = f"{worker}-{number}"
            user = USERS[number % len(USERS)]
            data = message(name)
            try:
                deliver(PORTS[NODES[(worker + number) % 3]].lmtp, user, data)
                with self.lock:
                    self.acknowledged[name] = (user, data)
            except smtplib.SMTPResponseException as error:
                # 451 4.4.2 says itself that the outcome is unknown; other replies are true refusals.
                with self.lock:
                    if b"4.4.2" in (error.smtp_error if isinstance(error.smtp_error, bytes) else b""):
                        self.unknown.add(name)
                    else:
                        self.refused += 1
            except ConnectionRefusedError:
                # The node is dead: nothing was sent.
                with self.lock:
                    self.down += 1
                time.sleep(0.05)
            except (OSError, smtplib.SMTPException):
                with self.lock:
                    self.unknown.add(name)
                time.sleep(0.05)

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a delivery hangs"

    def count(self):
        with self.lock:
            return len(self.acknowledged)


def pid_of(node):
    return http(PORTS[node].http, "/health/replication")[1]["node"]["pid"]


def settled():
    """All nodes see the same: every shard has a leader, and what is visible is folded everywhere."""
    seen = []
    for node in NODES:
        status, health = http(PORTS[node].http, "/health/replication")
        if status != 200 or health["status"] != "ok" or health["problems"]:
            return False
        seen.append([(s["shard"], s["digest"]["position"], s["digest"]["value"]) for s in health["shards"]])
    return seen[0] == seen[1] == seen[2]


def check(load, seen_uids):
    for node in NODES:
        for user in USERS:
            found = bodies(login(PORTS[node].imap, user))
            wanted = {name: data for name, (to, data) in load.acknowledged.items() if to == user}
            counted = {}
            for uid, (octets, _) in found.items():
                name = octets.split(b"Message-ID: <")[1].split(b"@test>")[0].decode()
                counted[name] = counted.get(name, 0) + 1
                known = seen_uids.setdefault((user, uid), name)
                assert known == name, f"UID {uid} of {user} was {known} and is {name} on node {node}"
                if name in wanted:
                    assert octets == wanted[name], f"{name} differs on node {node}"
            for name in wanted:
                assert counted.get(name) == 1, f"{name} of {user}: {counted.get(name, 0)} times on node {node}"
            for name, times in counted.items():
                assert times == 1, f"{name} is there {times} times on node {node}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        with running_demo(BINARY, folder, OFFSET, "--no-sample") as demo:
            until("the demo accounts are there", lambda: [login(PORTS[n].imap, u).logout() for n in NODES for u in USERS])
            until("all is settled", settled)
            seen_uids = {}
            load = Load()
            for turn in range(ROUNDS):
                node = NODES[turn % 3]
                before = load.count()
                until("mail comes in", lambda: load.count() > before + 20)
                pid = pid_of(node)
                os.kill(pid, 9)
                until(f"node {node} is back", lambda: pid_of(node) != pid)
            load.finish()
            until("all is settled after the kills", settled)
            check(load, seen_uids)

            imap = login(PORTS[1].imap)
            imap.select("INBOX")
            assert imap.uid("STORE", "1:*", "+FLAGS", "(\\Answered)")[0] == "OK"
            pids = [pid_of(node) for node in NODES]
            for pid in pids:
                os.kill(pid, 9)
            until("all nodes are back", lambda: all(pid_of(n) != p for n, p in zip(NODES, pids)))
            until("all is settled after all three were killed", settled)
            check(load, seen_uids)
            for node in NODES:
                for uid, (_, flags) in bodies(login(PORTS[node].imap)).items():
                    assert b"\\Answered" in flags, f"node {node} lost the flag of UID {uid}"
            print(f"{load.count()} acknowledged, {len(load.unknown)} unknown, {load.refused} refused, {load.down} while a node was down, {ROUNDS} + 3 kills")
            assert demo.terminate() == 0
            for node in NODES:
                run(BINARY, "verify", "--data", os.path.join(folder, f"node-{node}"))


main()
