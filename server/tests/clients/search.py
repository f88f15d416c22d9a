"""Exact search at the demo: by IMAP, by the command line, after kill -9, after damage, and beside a rebuild.

`search.py BINARY OFFSET [FOLDER OF .eml FILES]`: with a folder its first 400 messages are searched too.
"""

import glob
import json
import os
import re
import sys
import tempfile

from node import Ports, deliver, http, login, message, run, running_demo, until

BINARY, OFFSET = sys.argv[1], int(sys.argv[2])
CORPUS = sorted(glob.glob(os.path.join(sys.argv[3], "*.eml")))[:400] if len(sys.argv) > 3 else []
PORTS = {node: Ports(node, OFFSET) for node in [1, 2, 3]}
ALICE = "alice@example.org"


def command(node, folder, *args, expect=0):
    server = ["--server", f"http://127.0.0.1:{PORTS[node].http}", "--data", os.path.join(folder, f"node-{node}")]
    return run(BINARY, *args, *server, expect=expect)


def find(node, *keys):
    """UIDs in alice's INBOX."""
    imap = login(PORTS[node].imap, ALICE)
    imap.select("INBOX", readonly=True)
    kind, rows = imap.uid("SEARCH", *keys)
    assert kind == "OK", rows
    imap.logout()
    return [int(uid) for uid in rows[0].split()]


def status(node, folder):
    return json.loads(command(node, folder, "index", "status", "--json"))["shards"]


def is_level(node, folder):
    return all(shard["state"] == "level" and shard["indexed"] == shard["applied"] for shard in status(node, folder))


def check(expect, *keys):
    for node in PORTS:
        until(f"node {node} finds {keys}", lambda: find(node, *keys) == expect)


def same_everywhere(folder):
    """Pieces of the mail itself, by the index of each node and by a scan."""
    for node in PORTS:
        print(node, command(node, folder, "index", "verify", "--account", ALICE, "--queries", "150").strip())


def main():
    with tempfile.TemporaryDirectory() as folder:
        with running_demo(BINARY, folder, OFFSET, "--no-sample") as demo:
            until("the demo accounts are there", lambda: [login(p.imap, ALICE).logout() for p in PORTS.values()])
            for number in range(1, 31):
                deliver(PORTS[1 + number % 3].lmtp, ALICE, message(f"number-{number}"))
            for path in CORPUS:
                with open(path, "rb") as file:
                    deliver(PORTS[1].lmtp, ALICE, file.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            here = [number for number in range(1, 31) if "7" in f"{number}"]
            # Within a word, across words, one letter, punctuation, a key of fields, what nothing has, and with others.
            mine = ["FROM", "sender@example.net"]
            found = find(1, *mine, "SUBJECT", '"er-7"')
            assert len(found) == 1, found
            check(found, *mine, "SUBJECT", '"R-7"')
            check(found, *mine, "TEXT", '"Message-ID: <number-7@"')
            check([], *mine, "BODY", '"no such text"')
            assert len(find(2, *mine, "SUBJECT", "7")) == len(here)
            assert len(find(3, *mine, "BODY", '"dots and"', "NOT", "SUBJECT", "1")) > 0
            out = command(2, folder, "search", "er-7", "--account", ALICE, "--key", "subject")
            assert re.search(r"^1 found, complete to \d+:\d+ of the log$", out, re.M), out
            # Ranked: inflected, mistyped, the best first; with snippets and counts.
            deliver(PORTS[1].lmtp, ALICE, b"From: sender@example.net\r\nSubject: Mountain passes\r\n\r\nTunnels below the Gotthard.\r\n")
            for words in ["mountains", "montain pass", "tunnel gotth*", '"below the gotthard"']:
                ask = ["search", words, "--account", ALICE, "--ranked", "--facets", "--json"]
                ranked = until(f"{words} is found", lambda: json.loads(command(2, folder, *ask))["messages"])
                assert ranked[0]["subject"] == "Mountain passes", ranked[0]
            print(json.dumps(ranked[0]))
            assert "Mountain passes" in command(3, folder, "search", "tunnels", "--account", ALICE, "--ranked")
            for node in PORTS:
                until(f"node {node} is level", lambda: is_level(node, folder))
            same_everywhere(folder)

            # What is expunged is found no more; a copy in another mailbox is.
            imap = login(PORTS[1].imap, ALICE)
            imap.select("INBOX")
            assert imap.uid("COPY", str(found[0]), "Archive")[0] == "OK"
            imap.uid("STORE", str(found[0]), "+FLAGS", "(\\Deleted)")
            imap.expunge()
            check([], *mine, "SUBJECT", '"er-7"')
            assert "1 found" in command(3, folder, "search", "er-7", "--account", ALICE, "--key", "subject")

            # A node that is killed and one whose index is damaged answer as before.
            before = find(3, *mine, "TEXT", '"and"')
            files = os.path.join(folder, "node-3", "search", "*", "*", "*.run")
            runs = until("node 3 has written its index", lambda: [path for path in glob.glob(files) if os.path.getsize(path) > 100])
            pid = http(PORTS[3].http, "/health/replication")[1]["node"]["pid"]
            os.kill(pid, 9)
            for path in runs:
                with open(path, "r+b") as file:
                    file.seek(os.path.getsize(path) // 2)
                    byte = file.read(1)
                    file.seek(-1, 1)
                    file.write(bytes([byte[0] ^ 0x55]))
            until("node 3 is back", lambda: http(PORTS[3].http, "/health/replication")[1]["node"]["pid"] != pid)
            check(before, *mine, "TEXT", '"and"')
            same_everywhere(folder)
            print(f"{len(runs)} files of the index damaged; {[s['damage'] for s in status(3, folder) if s['damage']]}")
            until("node 3 is level again", lambda: is_level(3, folder))

            # Made anew while mail flows.
            command(2, folder, "index", "rebuild")
            deliver(PORTS[2].lmtp, ALICE, message("meanwhile"))
            check(find(1, *mine, "SUBJECT", "meanwhile"), *mine, "SUBJECT", "meanwhile")
            assert len(find(2, *mine, "SUBJECT", "meanwhile")) == 1
            until("node 2 is level", lambda: is_level(2, folder))
            same_everywhere(folder)
            assert demo.terminate() == 0


main()
