"""The larger site is lost for good. The smaller one says what is missing, goes on alone, and gets a second site.

Twice: under *strict* nothing acknowledged is missing. Under *degrade* the larger site went on alone for a while; the
verdict names the time before which nothing is missing, and what was acknowledged after it is salvaged from a disk that
turns up.

Usage: recover.py BINARY OFFSET
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time

from node import Cluster, Ports, bodies, deliver, http, login, message, run, until

BINARY, OFFSET = sys.argv[1], int(sys.argv[2])
NODES = [1, 2, 3, 4, 5]
PORTS = {node: Ports(node, OFFSET) for node in NODES}
USERS = ["alice@example.org", "bob@example.org"]
SHARDS, COUNT = 4, 12
UID_JUMP = 1 << 20
RECEIPTS = []
# Above 256 KiB a message goes ahead in chunks.
LARGE = 600_000


def replication(node):
    return http(PORTS[node].http, "/health/replication")[1]


def admin(*args, node, expect=0, stdin=""):
    to = ["--server", f"http://127.0.0.1:{PORTS[node].http}", "--data", CLUSTER.dir]
    return run(BINARY, *args, *to, expect=expect, stdin=stdin)


def fill(sent):
    RECEIPTS.clear()
    for user in USERS:
        admin("account", "add", user, "--password-stdin", node=1, stdin="demo\n")
        for number in range(COUNT):
            data = message(f"{user}-{number}", LARGE if number % 6 == 5 else 400)
            reply = deliver(PORTS[1 + number % 3].lmtp, user, data)
            assert "sites=a,b" in reply, reply
            sent[user].append(data)
            RECEIPTS.append(reply.split("<")[1].split(">")[0])
        imap = login(PORTS[2].imap, user)
        imap.select("INBOX")
        assert imap.uid("STORE", "2:4", "+FLAGS", "(\\Flagged)")[0] == "OK"
        imap.logout()


def recover(*more, expect=0):
    survivor = os.path.join(CLUSTER.folder(3), "gotthard.toml")
    args = ["--survivor", survivor, "--dir", CLUSTER.dir, "--id", "4", "--json", *more]
    done = subprocess.run([BINARY, "cluster", "recover-site", *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == expect, done
    return done


def check(node, sent, more=0):
    for user in USERS:
        found = bodies(login(PORTS[node].imap, user))
        assert list(found) == sorted(found), "UIDs ascend"
        octets = [octets for octets, _ in found.values()]
        assert octets[:len(sent[user])] == sent[user], f"{user} on node {node}: {len(octets)} messages"
        assert len(octets) == len(sent[user]) + more, (user, len(octets))
        for uid, (_, flags) in list(found.items())[:COUNT]:
            assert (b"\\Flagged" in flags) == (uid in {2, 3, 4}), (node, user, uid, flags)


def numbers(node, user):
    imap = login(PORTS[node].imap, user)
    kind, answer = imap.status("INBOX", "(UIDVALIDITY UIDNEXT HIGHESTMODSEQ)")
    assert kind == "OK", answer
    words = answer[0].decode().split("(")[1].rstrip(")").split()
    return {words[at]: int(words[at + 1]) for at in range(0, len(words), 2)}


def refusals(processes):
    """Used wrongly, it says why, and leaves nothing behind."""
    fenced = ["--fenced", "switched off", "--fenced-at", "2026-11-24T18:30:00Z", "--yes"]
    assert "Stop it first" in recover(*fenced, expect=1).stderr
    processes[3].terminate()
    assert "--fenced" in recover("--yes", expect=2).stderr
    assert "--fenced-at is a time" in recover("--fenced", "off", "--fenced-at", "noon", "--yes", expect=1).stderr
    taken = ["--survivor", os.path.join(CLUSTER.folder(3), "gotthard.toml"), "--dir", CLUSTER.dir, "--id", "3", *fenced]
    assert "no node ever had" in subprocess.run(
        [BINARY, "cluster", "recover-site", *taken], capture_output=True, text=True, timeout=60).stderr
    with socket.create_server(("127.0.0.1", CLUSTER.peer_port(2))):
        assert "node 2 of site a answers" in recover(*fenced, expect=1).stderr
    assert not os.path.exists(CLUSTER.folder(4)) and not os.path.exists(os.path.join(CLUSTER.dir, ".node-4.unfinished"))
    return fenced


def goes_on(processes, sent, before):
    """The new node has everything, numbers have jumped, and a second site is added."""
    CLUSTER.start(4)
    # It listens where node 3 did.
    PORTS[4] = PORTS[3]
    until("node 4 is ready", lambda: http(PORTS[4].http, "/health/ready")[0] == 200)
    until("it leads", lambda: all(shard["leader"] == 4 for shard in replication(4)["shards"]))
    health = replication(4)
    assert health["cluster"]["incarnation"] == 2 and health["mode"] == "single_site", health
    check(4, sent)
    for user in USERS:
        after = numbers(4, user)
        assert after["UIDVALIDITY"] == before[user]["UIDVALIDITY"]
        assert after["UIDNEXT"] == before[user]["UIDNEXT"] + UID_JUMP, (before[user], after)
        assert after["HIGHESTMODSEQ"] > before[user]["HIGHESTMODSEQ"] + (1 << 31)
        reply = deliver(PORTS[4].lmtp, user, message("after"))
        assert ".2:" in reply and "sites=b" in reply, reply
        sent[user].append(message("after"))
    check(4, sent)

    # Receipts of before are as good as new ones.
    view = json.loads(admin("receipt", RECEIPTS[0], "--json", node=4))
    assert view["held"] and view["visible"] and view["sites"] == ["b"] and view["nodes"] == [4], view
    shard, term, index = RECEIPTS[0].split(":")[1:]
    admin("receipt", f"{RECEIPTS[0].split(':')[0]}:{shard}:{int(term) + 1}:{index}", node=4, expect=1)
    admin("receipt", "<no receipt>", node=4, expect=1)

    # A node of the old incarnation is a stranger now.
    CLUSTER.start(1)
    until("node 1 runs", lambda: http(PORTS[1].http, "/health/live")[0] == 200)
    args = ["cluster", "add-node", "5", "--site", "c", "--peer", CLUSTER.peer(5), "--dir", CLUSTER.dir]
    adding = subprocess.Popen([BINARY, *args, "--server", f"http://127.0.0.1:{PORTS[4].http}"], stdout=subprocess.DEVNULL)
    until("node 5's folder is made", lambda: os.path.exists(os.path.join(CLUSTER.folder(5), "gotthard.toml")))
    CLUSTER.start(5)
    assert adding.wait(60) == 0
    until("two sites are in sync", lambda: replication(4)["status"] == "ok" and replication(4)["mode"] == "in_sync")
    for node in [4, 5]:
        check(node, sent)
    assert replication(4)["cluster"]["nodes"] == 2
    processes[1].kill()


def strict(processes):
    sent = {user: [] for user in USERS}
    until("all is in sync", lambda: replication(1)["status"] == "ok")
    admin("cluster", "policy", "strict", node=2)
    assert all(replication(node)["on_site_loss"] == "strict" for node in [1, 2, 3])
    fill(sent)
    view = json.loads(admin("receipt", RECEIPTS[0], "--json", node=2))
    assert view["held"] and view["visible"] and view["sites"] == ["a", "b"], view
    before = {user: numbers(1, user) for user in USERS}
    until("node 3 has folded all", lambda: replication(3)["status"] == "ok")
    processes[1].kill()
    processes[2].kill()
    # What is left can be read.
    check(3, sent)
    fenced = refusals(processes)
    verdict = json.loads(recover("--dry-run").stdout)["verdict"]
    assert verdict["complete"] and len(verdict["shards"]) == SHARDS + 1, verdict
    record = json.loads(recover(*fenced).stdout)
    assert record["incarnation"] == 2 and record["verdict"]["complete"], record
    assert "is there already" in recover(*fenced, expect=1).stderr
    goes_on(processes, sent, before)
    for node in [4, 5]:
        assert processes[node].terminate() == 0
        run(BINARY, "verify", "--data", CLUSTER.folder(node))


def degrade(processes):
    sent = {user: [] for user in USERS}
    until("all is in sync", lambda: replication(1)["status"] == "ok")
    admin("cluster", "policy", "degrade", node=3)
    fill(sent)
    until("node 3 has folded all", lambda: replication(3)["status"] == "ok")
    # Node 3 writes down until when it was in sync, shard by shard.
    known = os.path.join(CLUSTER.folder(3), "in-sync.json")
    until("it is written down", lambda: os.path.exists(known) and len(json.load(open(known))) == SHARDS + 1)
    together = time.time()
    processes[3].kill()
    until("site a goes on alone", lambda: all(
        "sites=a" in deliver(PORTS[1].lmtp, user, message("alone")) for user in USERS))
    assert replication(1)["mode"] == "degraded"
    imap = login(PORTS[1].imap, USERS[0])
    imap.select("INBOX")
    assert imap.uid("STORE", "7", "+FLAGS", "(\\Answered)")[0] == "OK"
    alone = {user: len(bodies(login(PORTS[2].imap, user))) - COUNT for user in USERS}
    processes[1].terminate()
    processes[2].kill()

    verdict = json.loads(recover("--dry-run").stdout)["verdict"]
    assert not verdict["complete"], verdict
    limit = verdict["nothing_missing_before"]
    since = time.mktime(time.strptime(limit, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    # The lease reaches a few seconds beyond the last moment together; no site may say more than is true.
    assert together - 10 < since < together + 10, (limit, together)
    recover("--fenced", "switched off", "--fenced-at", limit, "--yes")
    PORTS[4] = PORTS[3]
    CLUSTER.start(4)
    until("node 4 is ready", lambda: http(PORTS[4].http, "/health/ready")[0] == 200)
    check(4, sent)

    salvaged = os.path.join(CLUSTER.dir, "salvaged")
    record = os.path.join(CLUSTER.folder(4), "recovered.json")
    args = ["salvage", "--data", CLUSTER.folder(1), "--recovered", record, "--to", salvaged, "--json"]
    found = json.loads(run(BINARY, *args))
    assert found["messages"] == sum(alone.values()), (found, alone)
    assert found["changes"] >= 1, found
    with open(os.path.join(salvaged, "changes.jsonl")) as file:
        changes = [json.loads(line) for line in file]
    flagged = [change for change in changes if change["what"] == "flags"]
    assert flagged[0]["address"] == USERS[0] and flagged[0]["uids"] == "7", flagged
    for user in USERS:
        admin("import", "--account", user, os.path.join(salvaged, user), node=4)
    for user in USERS:
        sent[user] += [message("alone")] * alone[user]
    check(4, sent)
    run(BINARY, *args, expect=1)


for part in [strict, degrade]:
    PORTS = {node: Ports(node, OFFSET) for node in NODES}
    with tempfile.TemporaryDirectory() as top:
        CLUSTER = Cluster(BINARY, top, OFFSET, SHARDS, {1: "a", 2: "a", 3: "b"})
        with CLUSTER.running({node: PORTS[node] for node in [1, 2, 3]}) as processes:
            part(processes)
