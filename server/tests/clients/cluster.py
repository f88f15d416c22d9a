"""A cluster from `cluster init`, as processes: its only node of a site is lost for good, and another takes its place.

While the site is gone changes are refused; once the new node is in, all goes on. It has every message and every flag,
the dead node leaves the membership, views agree, and leaders go where they are sent.

Usage: cluster.py BINARY OFFSET [KEEP]. With KEEP, Raft's log keeps so few entries that the new node gets snapshots; and
its views are deleted once, and come back from what the snapshots left in its journal.
"""

import json
import os
import shutil
import smtplib
import subprocess
import sys
import tempfile

from node import Cluster, Ports, bodies, deliver, http, login, message, run, until

BINARY, OFFSET = sys.argv[1], int(sys.argv[2])
KEEP = int(sys.argv[3]) if len(sys.argv) > 3 else None
PORTS = {node: Ports(node, OFFSET) for node in [1, 2, 3, 4]}
USERS = ["alice@example.org", "bob@example.org"]
SHARDS, COUNT = 4, 30
# Above 256 KiB a message goes ahead in chunks.
LARGE = 600_000
# Sent while the site is gone: refused, or, if its shard had not noticed yet, of unknown outcome.
EARLY = message("too early")


def replication(node):
    return http(PORTS[node].http, "/health/replication")


def settled(nodes):
    """All of `nodes`, and nobody else, are members everywhere; they see and have folded the same."""
    seen = []
    for node in nodes:
        status, health = replication(node)
        if status != 200 or health["status"] != "ok" or health["problems"] or health["cluster"]["nodes"] != len(nodes):
            return False
        for shard in health["shards"]:
            if sorted(row["node"] for row in shard["replicas"]) != nodes or shard["digest"]["agrees"] is not True:
                return False
            if any(row["role"] == "learner" for row in shard["replicas"]):
                return False
        seen.append([(s["shard"], s["digest"]["position"], s["digest"]["value"]) for s in health["shards"]])
    return all(rows == seen[0] for rows in seen)


def check(node, sent, marked):
    """Byte for byte and flag for flag, in every account."""
    for user in USERS:
        found = bodies(login(PORTS[node].imap, user))
        assert list(found) == sorted(found), "UIDs ascend"
        early = [uid for uid, (octets, _) in found.items() if octets == EARLY]
        assert len(early) <= 1, early
        for uid in early:
            del found[uid]
        assert [octets for octets, _ in found.values()] == sent[user], f"{user} on node {node}: {len(found)} messages"
        for uid, (_, flags) in found.items():
            assert (b"\\Flagged" in flags) == (uid in marked), (node, user, uid, flags)


def cluster(*args, server=1, expect=0):
    to = ["--server", f"http://127.0.0.1:{PORTS[server].http}", "--data", CLUSTER.dir, "--json"]
    return run(BINARY, "cluster", *args, *to, expect=expect)


def keep_few_entries(node):
    """With KEEP, before the node's first start."""
    if KEEP is not None:
        with open(CLUSTER.config(node), "a") as file:
            file.write(f"\n[limits]\nraft_log_entries_kept = {KEEP}\n")


def add_node_4(*more):
    to = ["--server", f"http://127.0.0.1:{PORTS[1].http}", "--json"]
    return [BINARY, "cluster", "add-node", "4", "--site", "b", "--peer", CLUSTER.peer(4), "--dir", CLUSTER.dir, *to, *more]


def laid_out():
    """Says what it made; keeps the key that signs nodes to itself; makes nothing twice, and nothing of half a node."""
    assert [row["node"] for row in CLUSTER.layout["nodes"]] == [1, 2, 3], CLUSTER.layout
    assert os.stat(os.path.join(CLUSTER.dir, "authority-key.pem")).st_mode & 0o777 == 0o600
    run(BINARY, "cluster", "init", "--dir", CLUSTER.dir, *CLUSTER.init_args, expect=1)
    run(BINARY, "cluster", "init", "--dir", CLUSTER.dir, "--node", "1=a", expect=2)


def fill(sent):
    """Small and large mail for all, then flags on some."""
    to = ["--server", f"http://127.0.0.1:{PORTS[1].http}", "--data", CLUSTER.dir]
    for user in USERS:
        run(BINARY, "account", "add", user, "--password-stdin", *to, stdin="demo\n")
        for number in range(COUNT):
            data = message(f"{user}-{number}", LARGE if number % 10 == 9 else 400)
            deliver(PORTS[1 + number % 3].lmtp, user, data)
            sent[user].append(data)
        imap = login(PORTS[2].imap, user)
        imap.select("INBOX")
        assert imap.uid("STORE", "2:5,30", "+FLAGS", "(\\Flagged)")[0] == "OK"
        imap.logout()
    return {2, 3, 4, 5, 30}


def replace_node_3(processes, sent, marked):
    processes[3].kill()
    shutil.rmtree(CLUSTER.folder(3))
    until("the gate is closed", lambda: any(p["code"] == "site_unreachable" for p in replication(1)[1]["problems"]))
    refused = cluster("remove-node", "3", expect=1)
    assert replication(1)[1]["cluster"]["nodes"] == 3, refused
    try:
        deliver(PORTS[1].lmtp, USERS[0], EARLY)
        raise AssertionError("acknowledged in one site only")
    except smtplib.SMTPResponseException as error:
        assert error.smtp_code == 451, error

    # Nobody answers there yet: that is said, and nothing is changed.
    away = subprocess.run(add_node_4("--wait", "1"), capture_output=True, text=True, timeout=60)
    assert away.returncode == 1 and "node 4 cannot be reached" in away.stderr, away
    assert replication(1)[1]["cluster"]["nodes"] == 3
    keep_few_entries(4)
    CLUSTER.start(4)
    # Interrupted at any moment, and repeated.
    first = subprocess.Popen(add_node_4(), stdout=subprocess.DEVNULL)
    until("node 4 is a member", lambda: replication(1)[1]["cluster"]["nodes"] == 4)
    first.kill()
    first.wait()
    done = json.loads(run(*add_node_4()))
    assert done["done"] and len(done["shards"]) == SHARDS + 1, done
    again = json.loads(run(*add_node_4()))
    assert all(shard["state"] == "voter" for shard in again["shards"]), again

    # The gate is open again, before the dead node has left.
    until("mail is taken", lambda: deliver(PORTS[2].lmtp, USERS[0], message("after")))
    sent[USERS[0]].append(message("after"))
    done = json.loads(cluster("remove-node", "3", server=2))
    assert all(shard["state"] == "absent" for shard in done["shards"]), done
    until("nodes 1, 2 and 4 agree", lambda: settled([1, 2, 4]))
    until("node 4 is ready", lambda: http(PORTS[4].http, "/health/ready")[0] == 200)
    for node in [1, 2, 4]:
        check(node, sent, marked)


def move_leaders():
    done = json.loads(cluster("transfer-leader", "--to", "4"))
    assert {shard["leader"] for shard in done["shards"]} == {4}, done
    done = json.loads(cluster("transfer-leader", "--shard", "1", "--to", "2", server=4))
    assert [(shard["shard"], shard["leader"]) for shard in done["shards"]] == [(1, 2)], done
    until("all nodes see it", lambda: all(
        [s["leader"] for s in replication(node)[1]["shards"]] == [4, 2, 4, 4, 4] for node in [1, 2, 4]
    ))
    cluster("transfer-leader", "--to", "3", expect=1)
    cluster("remove-node", "1", expect=1)
    refused = subprocess.run(
        [BINARY, "cluster", "remove-node", "4", "--server", f"http://127.0.0.1:{PORTS[1].http}", "--data", CLUSTER.dir],
        capture_output=True, text=True, timeout=60,
    )
    assert refused.returncode == 1 and "--leave-site" in refused.stderr, refused


def restart_all(processes, sent, marked):
    """What the configuration says of members is history: the log knows better."""
    for node in [1, 2, 4]:
        assert processes[node].terminate() == 0
    if KEEP is not None:
        with open(CLUSTER.log(4)) as log:
            assert "the snapshot is installed" in log.read(), "node 4 got the log, and no snapshot"
        shutil.rmtree(os.path.join(CLUSTER.folder(4), "views"))
    for node in [1, 2, 4]:
        CLUSTER.start(node)
    until("nodes 1, 2 and 4 agree after a restart", lambda: settled([1, 2, 4]))
    deliver(PORTS[4].lmtp, USERS[1], message("last"))
    sent[USERS[1]].append(message("last"))
    until("the last one is everywhere", lambda: settled([1, 2, 4]))
    for node in [1, 2, 4]:
        check(node, sent, marked)
        assert processes[node].terminate() == 0
        run(BINARY, "verify", "--data", CLUSTER.folder(node))


def main(processes):
    sent = {user: [] for user in USERS}
    until("all is settled", lambda: settled([1, 2, 3]))
    done = json.loads(cluster("policy", "strict", server=2))
    assert {shard["on_site_loss"] for shard in done["shards"]} == {"strict"}, done
    assert all(replication(node)[1]["on_site_loss"] == "strict" for node in [1, 2, 3])
    marked = fill(sent)
    replace_node_3(processes, sent, marked)
    move_leaders()
    restart_all(processes, sent, marked)


with tempfile.TemporaryDirectory() as top:
    CLUSTER = Cluster(BINARY, top, OFFSET, SHARDS, {1: "a", 2: "a", 3: "b"})
    laid_out()
    for founder in [1, 2, 3]:
        keep_few_entries(founder)
    with CLUSTER.running({node: PORTS[node] for node in [1, 2, 3]}) as nodes:
        main(nodes)
