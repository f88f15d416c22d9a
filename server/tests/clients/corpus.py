"""Every .eml of a folder over 16 LMTP connections round robin over the three nodes; read back from each by IMAP.

Byte for byte behind the trace, each file exactly once. Not part of the tests: the folder is yours to bring.
"""

import collections
import hashlib
import os
import smtplib
import sys
import tempfile
import threading
import time

from node import Ports, login, running_demo, until

BINARY, OFFSET, CORPUS = sys.argv[1], int(sys.argv[2]), sys.argv[3]
NODES = [1, 2, 3]
PORTS = {node: Ports(node, OFFSET) for node in NODES}
USERS = ["alice@example.org", "bob@example.org", "carol@example.org"]
CONNECTIONS = 16
# Messages of one FETCH: bounds what imaplib holds at a time.
CHUNK = 200
TRACE = (b"Return-Path:", b"Delivered-To:", b"Received:")


def read(name):
    """The octets as sent: CR LF ends each line, as an MTA would hand them over."""
    with open(os.path.join(CORPUS, name), "rb") as file:
        data = file.read()
    data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def behind_trace(octets):
    """Drops exactly the fields of TRACE, in this order, with their folded lines."""
    at = 0
    for field in TRACE:
        assert octets.startswith(field, at), f"no {field} in the trace: {octets[:400]!r}"
        at = octets.index(b"\r\n", at) + 2
        while octets[at : at + 1] in (b" ", b"\t"):
            at = octets.index(b"\r\n", at) + 2
    return octets[at:]


class Deliveries:
    def __init__(self, names):
        self.lock = threading.Lock()
        self.next = iter(enumerate(names))
        self.wanted = {user: collections.Counter() for user in USERS}
        self.named, self.failed, self.octets, self.slowest = {}, [], 0, 0.0
        threads = [threading.Thread(target=self.work, args=(i,), daemon=True) for i in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def work(self, worker):
        port = PORTS[NODES[worker % len(NODES)]].lmtp
        lmtp = None
        while True:
            with self.lock:
                number, name = next(self.next, (None, None))
            if name is None:
                break
            user, data = USERS[number % len(USERS)], read(name)
            start = time.monotonic()
            try:
                if lmtp is None:
                    lmtp = smtplib.LMTP("127.0.0.1", port, timeout=60)
                refused = lmtp.sendmail("sender@example.net", [user], data, ["BODY=8BITMIME"])
                assert not refused, refused
            except (OSError, smtplib.SMTPException, AssertionError) as error:
                lmtp = None
                with self.lock:
                    self.failed.append((name, repr(error)))
                continue
            digest = hashlib.sha256(data).digest()
            with self.lock:
                self.wanted[user][digest] += 1
                self.named[digest] = name
                self.octets += len(data)
                self.slowest = max(self.slowest, time.monotonic() - start)
        if lmtp is not None:
            lmtp.quit()


def read_back(node, user):
    """Digests of what is in INBOX behind the trace, and the octets read."""
    imap = login(PORTS[node].imap, user)
    kind, rows = imap.select("INBOX", readonly=True)
    assert kind == "OK", rows
    count, found, octets, uids = int(rows[0]), collections.Counter(), 0, []
    for first in range(1, count + 1, CHUNK):
        kind, rows = imap.fetch(f"{first}:{min(first + CHUNK - 1, count)}", "(UID BODY.PEEK[])")
        assert kind == "OK", rows
        for row in rows:
            if isinstance(row, tuple):
                uids.append(int(row[0].split(b"UID ")[1].split(b" ")[0]))
                octets += len(row[1])
                found[hashlib.sha256(behind_trace(row[1])).digest()] += 1
    assert uids == sorted(set(uids)) and len(uids) == count, f"UIDs of {user} on node {node}"
    imap.logout()
    return found, octets, uids


def visible_everywhere(wanted):
    for node in NODES:
        for user in USERS:
            imap = login(PORTS[node].imap, user)
            seen = int(imap.select("INBOX", readonly=True)[1][0])
            imap.logout()
            if seen < sum(wanted[user].values()):
                return False
    return True


def main():
    names = sorted(name for name in os.listdir(CORPUS) if name.endswith(".eml"))
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        with running_demo(BINARY, folder, OFFSET, "--no-sample") as demo:
            until("the demo accounts are there", lambda: [login(PORTS[n].imap, u).logout() for n in NODES for u in USERS])
            start = time.monotonic()
            sent = Deliveries(names)
            took = time.monotonic() - start
            accepted = sum(sum(counter.values()) for counter in sent.wanted.values())
            print(
                f"delivered {accepted} of {len(names)} files, {sent.octets} octets, {CONNECTIONS} connections, "
                f"{took:.1f} s: {accepted / took:.0f} messages/s, {sent.octets / took / 1e6:.2f} MB/s, "
                f"slowest {sent.slowest * 1000:.0f} ms, {len(sent.failed)} failed"
            )
            problems += [f"not delivered: {name}: {error}" for name, error in sent.failed]
            start = time.monotonic()
            until("all is visible on each node", lambda: visible_everywhere(sent.wanted))
            print(f"visible on all nodes {time.monotonic() - start:.1f} s later")
            uids_of = {}
            for node in NODES:
                start, octets, messages = time.monotonic(), 0, 0
                for user in USERS:
                    found, size, uids = read_back(node, user)
                    octets, messages = octets + size, messages + len(uids)
                    wanted = sent.wanted[user]
                    problems += [f"node {node}, {user}: missing or changed: {sent.named[d]}" for d in wanted - found]
                    more = sum((found - wanted).values())
                    if more:
                        problems.append(f"node {node}, {user}: {more} not as sent")
                    if uids_of.setdefault(user, uids) != uids:
                        problems.append(f"node {node}, {user}: UIDs differ from node {NODES[0]}")
                took = time.monotonic() - start
                print(f"node {node}: read {messages} messages, {octets} octets, {took:.1f} s: {messages / took:.0f} messages/s, {octets / took / 1e6:.2f} MB/s")
            assert demo.terminate() == 0
    for problem in problems[:40]:
        print(problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
