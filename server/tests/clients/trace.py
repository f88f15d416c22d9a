"""Where mail went: `gotthard trace` over three nodes, addresses with several targets, postmaster, foreign passwords.

A trace asked of one node tells of deliveries to all of them, and names a node that does not answer.
"""

import json
import os
import smtplib
import sys
import tempfile

from node import Ports, bodies, deliver, http, login, message, run, running_demo, until

BINARY, OFFSET = sys.argv[1], int(sys.argv[2])
NODES = [1, 2, 3]
PORTS = {node: Ports(node, OFFSET) for node in NODES}
ALICE, BOB, CAROL, DORA = "alice@example.org", "bob@example.org", "carol@example.org", "dora@example.org"
# doveadm pw -s BLF-CRYPT -p demo
FOREIGN = "{BLF-CRYPT}$2y$05$.SMo9c.DKIYwy188OWNSMeH67oVjfXef.wpYvaqNPRNWNy.IVgXzS"
RECORD = ["node", "outcome", "message_id", "sender", "recipient", "account", "mailbox", "receipt"]


def admin(data, *args, server=2, stdin="", expect=0):
    to = ["--server", f"http://127.0.0.1:{PORTS[server].http}", "--data", data]
    return run(BINARY, *args, *to, stdin=stdin, expect=expect)


def trace(data, of, server=2):
    return json.loads(admin(data, "trace", of, "--json", server=server))


def refused(port, recipient):
    try:
        deliver(port, recipient, message("refused"))
    except smtplib.SMTPResponseException as error:
        return error.smtp_code, error.smtp_error.decode()
    raise AssertionError(f"{recipient} is accepted")


def receipt(reply):
    return reply[reply.index("<") : reply.index(">") + 1]


def one_message(data):
    first = receipt(deliver(PORTS[1].lmtp, "alice+x@example.org", message("first")))
    deliver(PORTS[3].lmtp, BOB, message("second"))
    assert refused(PORTS[3].lmtp, "nobody@example.org")[0] == 550
    expect = [1, "delivery", "<first@test>", "sender@example.net", "alice+x@example.org", ALICE, "INBOX", first]
    for of in ["first@test", "<First@test>", first, "alice+x@example.org"]:
        found = trace(data, of)
        rows = [[record.get(name) for name in RECORD] for record in found["records"]]
        assert rows == [expect], (of, rows)
        assert found["complete"] and [n["node"] for n in found["nodes"]] == NODES, found
        assert found["records"][0]["reply"] == f"250 2.0.0 {first} sites=a,b stored in INBOX"
    sent = trace(data, "sender@example.net")["records"]
    assert [(r["node"], r["outcome"]) for r in sent][-3:] == [(1, "delivery"), (3, "delivery"), (3, "recipient refused")]
    table = admin(data, "trace", "second@test")
    assert "<second@test>" in table and BOB in table, table
    assert admin(data, "trace", "nothing@test") == "nothing is recorded of it\n"
    admin(data, "trace", "<>", expect=1)
    expunged = login(PORTS[2].imap, BOB)
    expunged.select("INBOX")
    expunged.store("1:*", "+FLAGS", "\\Deleted")
    expunged.expunge()
    assert trace(data, BOB)["records"][-1]["outcome"] == "messages expunged"


def several_targets(data):
    admin(data, "address", "add", "team@example.org", "--to", f"{ALICE}:Archive", "--to", BOB, "--to", CAROL)
    data_of = message("for the team")
    reply = deliver(PORTS[2].lmtp, "team@example.org", data_of)
    assert reply.endswith("stored in Archive and for 2 other accounts"), reply
    # A sender that lost the answer tries again, at another node.
    deliver(PORTS[1].lmtp, "team@example.org", data_of)
    for user, mailbox in [(ALICE, "Archive"), (BOB, "INBOX"), (CAROL, "INBOX")]:
        imap = login(PORTS[3].imap, user)
        found = [octets for octets, _ in bodies(imap, mailbox).values() if octets == data_of]
        assert len(found) == 1, (user, len(found))
    rows = [(r["node"], r["account"]) for r in trace(data, "team@example.org")["records"]]
    assert rows == [(node, user) for node in [2, 1] for user in [ALICE, BOB, CAROL]], rows


def postmaster(data):
    code, text = refused(PORTS[1].lmtp, "Postmaster")
    assert (code, text[:6]) == (550, "5.1.1 "), text
    admin(data, "address", "add", "postmaster@localhost", "--to", CAROL)
    assert "stored in INBOX" in deliver(PORTS[1].lmtp, "Postmaster", message("for the postmaster"))


def foreign_password(data):
    said = admin_fails(data, "account", "add", DORA, "--hash-stdin", stdin="{PLAIN}demo\n")
    assert "{PLAIN} is not supported: use ARGON2ID, " in said and "MD5-CRYPT" in said, said
    admin(data, "account", "add", DORA, "--hash-stdin", stdin=FOREIGN + "\n")
    for node in NODES:
        until(f"{DORA} logs in at node {node}", lambda: login(PORTS[node].imap, DORA).logout())


def admin_fails(data, *args, stdin):
    try:
        admin(data, *args, stdin=stdin)
    except AssertionError as error:
        return str(error)
    raise AssertionError(f"{args} succeeds")


def lost_node(data):
    os.kill(http(PORTS[3].http, "/health/replication")[1]["node"]["pid"], 9)
    found = trace(data, "first@test")
    assert [(n["node"], n["answered"]) for n in found["nodes"]] == [(1, True), (2, True), (3, False)], found
    assert not found["complete"] and len(found["records"]) == 1


def main():
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "demo")
        with running_demo(BINARY, data, OFFSET, "--no-sample", "--no-restart"):
            for user in [ALICE, BOB, CAROL]:
                for node in NODES:
                    until(f"{user} logs in at node {node}", lambda: login(PORTS[node].imap, user).logout())
            one_message(data)
            several_targets(data)
            postmaster(data)
            foreign_password(data)
            lost_node(data)


main()
