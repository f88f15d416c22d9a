"""The demo under the programs people use: swaks, curl, mbsync, IMAPClient, and what Thunderbird and K-9 send."""

import base64
import email
import os
import re
import shutil
import subprocess
import sys
import tempfile

from node import DEADLINE_S, Ports, deliver, http, login, message, running_demo, until
from wire import Wire, flags, literals, number

BINARY, OFFSET = sys.argv[1], int(sys.argv[2])
NODES = [1, 2, 3]
PORTS = {node: Ports(node, OFFSET) for node in NODES}
ALICE, BOB, CAROL = "alice@example.org", "bob@example.org", "carol@example.org"
SPECIAL = {"Archive", "Drafts", "Junk", "Sent", "Trash"}


def tool(*command, expect=0):
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL)
    text = done.stdout.decode("utf-8", "surrogateescape")
    error = done.stderr.decode("utf-8", "replace")
    assert done.returncode == expect, f"{command} ended with {done.returncode}, not {expect}:\n{text}\n{error}"
    return text


def curl(url, *more, user=ALICE, expect=0):
    return tool("curl", "--silent", "--show-error", "--max-time", "30", "--user", f"{user}:demo", *more, url, expect=expect)


def at_every_node(what, check):
    """A change acknowledged at one node shows at the others soon, not at once."""
    for node in NODES:
        until(f"{what} at node {node}", lambda: check(node))


# ---- swaks and curl


def swaks(folder):
    common = ["swaks", "--protocol", "LMTP", "--timeout", "30", "--from", "sender@example.net"]
    server = ["--server", f"127.0.0.1:{PORTS[1].lmtp}"]
    out = tool(*common, *server, "--to", ALICE, "--header", "Subject: swaksone", "--body", ".dots\n..\nlast")
    assert re.search(r"<-  250 2\.0\.0 <[^>]+> sites=a,b stored in INBOX", out), out
    for extension in ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "SIZE"]:
        assert re.search(rf"<-  250[- ]{extension}\b", out), f"LHLO lacks {extension}: {out}"
    # LMTP answers DATA once per accepted recipient (RFC 2033 section 4.2).
    several = ["--to", f"{ALICE},{BOB}", "--header", "Subject: swakstwo"]
    out = tool(*common, "--server", f"127.0.0.1:{PORTS[2].lmtp}", *several)
    assert out.count("stored in INBOX") >= 1, out
    out = tool(*common, *server, "--to", "nobody@example.org", expect=24)
    assert re.search(r"<\*\* 550 5\.1\.1 ", out), out
    attached = os.path.join(folder, "attached.bin")
    with open(attached, "wb") as file:
        file.write(bytes(range(256)) * 400)
    # swaks speaks STARTTLS without checking the demo's own certificate.
    tool(*common, *server, "--tls", "--to", ALICE, "--header", "Subject: swakstls", "--attach", f"@{attached}")
    for user, subject in [(ALICE, "swaksone"), (ALICE, "swakstwo"), (BOB, "swakstwo"), (ALICE, "swakstls")]:
        at_every_node(f"{subject} of {user}", lambda node: len(search(node, subject, user)) == 1)


def search(node, subject, user=ALICE):
    out = curl(f"imap://127.0.0.1:{PORTS[node].imap}/INBOX", "-X", f"UID SEARCH SUBJECT {subject}", user=user)
    assert out.startswith("* SEARCH"), out
    return [int(uid) for uid in out.split()[2:]]


def curl_imap(folder):
    uid = search(1, "swaksone")[0]
    for node in NODES:
        plain = f"imap://127.0.0.1:{PORTS[node].imap}"
        tls = f"imaps://127.0.0.1:{node * 1000 + OFFSET + 993}"
        whole = curl(f"{plain}/INBOX;UID={uid}")
        assert whole.startswith("Return-Path: <sender@example.net>\r\n"), whole
        assert "\r\n\r\n.dots\r\n..\r\nlast\r\n" in whole, whole
        assert curl(f"{tls}/INBOX;UID={uid}", "--insecure") == whole, "the same over TLS"
        assert curl(f"{plain}/INBOX;UID={uid}", "--ssl-reqd", "--insecure") == whole, "the same after STARTTLS"
        head = curl(f"{plain}/INBOX;UID={uid};SECTION=HEADER")
        text = curl(f"{plain}/INBOX;UID={uid};SECTION=TEXT")
        assert head + text == whole
        assert "Subject: swaksone\r\n" in head and "Subject" not in text
        assert search(node, "nothinglikethis") == []
        names = set(re.findall(r'"/" "?([^"\r\n]+)', curl(f"{plain}/")))
        assert names >= SPECIAL | {"INBOX"}, names
        # 67 is curl's "login denied".
        tool("curl", "--silent", "--user", f"{ALICE}:wrong", f"{plain}/INBOX", expect=67)
    # curl sends no final CR LF of its own: APPEND keeps the octets as they are.
    draft = os.path.join(folder, "draft.eml")
    octets = message("draft")
    with open(draft, "wb") as file:
        file.write(octets)
    curl(f"imap://127.0.0.1:{PORTS[2].imap}/Drafts", "--upload-file", draft)
    imap = login(PORTS[2].imap)
    imap.select("Drafts", readonly=True)
    kind, rows = imap.fetch("1", "(BODY.PEEK[] FLAGS)")
    assert kind == "OK" and rows[0][1] == octets, rows
    imap.logout()
    out = curl(f"imap://127.0.0.1:{PORTS[1].imap}/INBOX", "-X", f"UID STORE {uid} +FLAGS \\Flagged")
    assert "\\Flagged" in out, out


def pages():
    for node in NODES:
        base = f"http://127.0.0.1:{PORTS[node].http}"
        for page in ["/health/live", "/health/ready", "/health/replication"]:
            assert tool("curl", "-s", "-o", os.devnull, "-w", "%{http_code}", base + page) == "200", page
        assert tool("curl", "-s", "-o", os.devnull, "-w", "%{http_code}", base + "/no/such/page") == "404"
        metrics = tool("curl", "-s", "--fail", base + "/metrics")
        samples = 0
        for line in metrics.splitlines():
            if line.startswith("#"):
                assert re.match(r"# (HELP|TYPE) [a-z_:0-9]+ \S", line), line
            else:
                assert re.fullmatch(r"gotthard_[a-z_0-9]+(\{[^}]*\})? [-+0-9.eE]+", line), line
                samples += 1
        assert samples >= 20, metrics


# ---- mbsync


class Maildir:
    """A local copy of one account that mbsync keeps."""

    def __init__(self, folder, name, user):
        self.root, self.user = os.path.join(folder, name), user
        os.makedirs(os.path.join(self.root, "mail"))
        self.config = os.path.join(self.root, "mbsyncrc")

    def sync(self, node):
        with open(self.config, "w") as out:
            out.write(
                f"IMAPAccount there\nHost 127.0.0.1\nPort {PORTS[node].imap}\nUser {self.user}\nPass demo\n"
                "SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount there\n\n"
                f"MaildirStore near\nPath {self.root}/mail/\nInbox {self.root}/mail/INBOX\nSubFolders Verbatim\n\n"
                "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
            )
        return tool("mbsync", "--config", self.config, "all")

    def files(self, box="INBOX"):
        """(octets, flags) → path, for each message of a mailbox."""
        found = {}
        for part in ["cur", "new"]:
            folder = os.path.join(self.root, "mail", box, part)
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    # mbsync marks what it copies with a field of its own.
                    octets = re.sub(rb"(?m)^X-TUID: \S+\n", b"", file.read())
                    key = octets, "".join(sorted(name.partition(":2,")[2]))
                assert key not in found, f"twice: {path} {found[key]}"
                found[key] = path
        return found

    def path(self, text, box="INBOX"):
        (path,) = [path for (octets, _), path in self.files(box).items() if text in octets]
        return path

    def flag(self, path, letters):
        folder = os.path.join(os.path.dirname(os.path.dirname(path)), "cur")
        base = os.path.basename(path).partition(":2,")[0]
        os.rename(path, os.path.join(folder, f"{base}:2,{letters}"))

    def add(self, octets, box="INBOX"):
        with open(os.path.join(self.root, "mail", box, "cur", f"1.{len(octets)}.here:2,S"), "wb") as file:
            file.write(octets)


def mbsync(folder):
    sent = [message(f"mbsync-{number}") for number in range(12)]
    for index, data in enumerate(sent):
        deliver(PORTS[NODES[index % 3]].lmtp, BOB, data)
    for node in NODES:
        until("all of it is there", lambda: len(uids(node, BOB, "mbsync-")) == len(sent))
    one = Maildir(folder, "one", BOB)
    one.sync(1)
    first = one.files()
    for data in sent:
        assert any(octets.endswith(data.replace(b"\r\n", b"\n")) for octets, _ in first), f"not pulled as sent: {data!r} among {list(first)[-2:]!r}"
    assert set(os.listdir(os.path.join(one.root, "mail"))) >= SPECIAL | {"INBOX"}
    one.sync(1)
    assert one.files() == first, "a second run changes nothing"

    one.flag(one.path(b"message mbsync-3\n"), "FS")
    one.flag(one.path(b"message mbsync-4\n"), "RS")
    os.remove(one.path(b"message mbsync-5\n"))
    local = b"From: bob@example.org\nSubject: added here\nMessage-ID: <here@test>\n\nwritten offline \xfc\n"
    one.add(local)
    one.add(b"From: bob@example.org\nSubject: kept\nMessage-ID: <kept@test>\n\nsent copy\n", "Sent")
    one.sync(1)
    for node in NODES:
        until("the added one is there", lambda: len(uids(node, BOB, "added here")) == 1)
        until("the deleted one is gone", lambda: uids(node, BOB, "mbsync-5") == [])
        until("the flags are there", lambda: len(uids(node, BOB, "mbsync-3", "FLAGGED SEEN")) == 1)
    two = Maildir(folder, "two", BOB)
    two.sync(3)
    for box in sorted(SPECIAL | {"INBOX"}):
        assert set(one.files(box)) == set(two.files(box)), f"{box} differs between the two copies"
    assert (local, "S") in two.files(), "as it was written"
    assert len(two.files("Sent")) == 1

    two.flag(two.path(b"message mbsync-3\n"), "S")
    os.remove(two.path(b"message mbsync-6\n"))
    two.sync(2)
    until("node 1 has it", lambda: uids(1, BOB, "mbsync-6") == [] and uids(1, BOB, "mbsync-3", "FLAGGED") == [])
    deliver(PORTS[3].lmtp, BOB, message("mbsync-late"))
    until("node 1 has the late one", lambda: len(uids(1, BOB, "mbsync-late")) == 1)
    one.sync(1)
    two.sync(3)
    assert set(one.files()) == set(two.files()), "both copies end alike"
    assert not any(b"mbsync-6\n" in octets for octets, _ in one.files()), "a deletion travels back"


def uids(node, user, subject, more=""):
    imap = login(PORTS[node].imap, user)
    imap.select("INBOX", readonly=True)
    kind, rows = imap.uid("SEARCH", f'SUBJECT "{subject}" {more}'.strip())
    assert kind == "OK", rows
    imap.logout()
    return [int(uid) for uid in (rows[0] or b"").split()]


# ---- IMAPClient


def imapclient_idle():
    try:
        import imapclient
    except ImportError:
        print("skipped: IMAPClient is not installed")
        return
    client = imapclient.IMAPClient("127.0.0.1", port=PORTS[3].imap, ssl=False, timeout=30)
    client.login(CAROL, "demo")
    folders = {name: attributes for attributes, _, name in client.list_folders()}
    assert set(folders) >= SPECIAL | {"INBOX"}, folders
    assert b"\\Sent" in folders["Sent"], folders
    before = client.select_folder("INBOX")[b"EXISTS"]
    client.idle()
    deliver(PORTS[1].lmtp, CAROL, message("idle one"))
    seen = []
    while (before + 1, b"EXISTS") not in seen:
        news = client.idle_check(timeout=30)
        assert news, f"nothing within 30 s; before: {seen}"
        seen += news
    client.idle_done()
    (uid,) = client.search(["SUBJECT", "idle one"])
    row = client.fetch([uid], ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE", "BODY[]", "FLAGS"])[uid]
    assert row[b"ENVELOPE"].subject == b"message idle one"
    assert row[b"BODY[]"].endswith(message("idle one")) and row[b"RFC822.SIZE"] == len(row[b"BODY[]"])
    # A flag set at node 2 shows in IDLE at node 3.
    until("node 2 has it", lambda: uids(2, CAROL, "idle one") == [uid])
    client.idle()
    other = login(PORTS[2].imap, CAROL)
    other.select("INBOX")
    assert other.uid("STORE", str(uid), "+FLAGS", "(\\Flagged $Label1)")[0] == "OK"
    news = client.idle_check(timeout=30)
    client.idle_done()
    assert any(b"FETCH" in line and b"\\Flagged" in line[2][1] for line in news), news
    assert set(client.get_flags([uid])[uid]) >= {b"\\Flagged", b"$Label1", b"\\Seen"}
    client.create_folder("Projekte/Größe")
    assert client.folder_exists("Projekte/Größe")
    client.append("Projekte/Größe", message("appended"), flags=[b"\\Seen"])
    assert client.folder_status("Projekte/Größe", ["MESSAGES", "UNSEEN"]) == {b"MESSAGES": 1, b"UNSEEN": 0}
    client.move([uid], "Projekte/Größe")
    assert client.search(["SUBJECT", "idle one"]) == []
    assert client.select_folder("Projekte/Größe")[b"EXISTS"] == 2
    client.delete_messages(client.search())
    client.expunge()
    assert client.search() == []
    client.unselect_folder()
    client.delete_folder("Projekte/Größe")
    assert not client.folder_exists("Projekte/Größe")
    other.logout()
    client.logout()


# ---- what Thunderbird and K-9 write


HEADERS = (
    "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups "
    "In-Reply-To Content-Type Reply-To"
)


def multipart(subject):
    return (
        f"From: =?utf-8?q?J=C3=BCrg?= <juerg@example.net>\r\nTo: {ALICE}, {BOB}\r\nSubject: {subject}\r\n"
        f"Date: Tue, 3 Mar 2026 10:00:00 +0100\r\nMessage-ID: <{subject}@test>\r\nReferences: <a@test>\r\n <b@test>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="xx"\r\n\r\npreamble\r\n'
        "--xx\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u00fcezi\r\n"
        '--xx\r\nContent-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
        'Content-Disposition: attachment; filename="a.pdf"\r\n\r\nJVBERi0xLjQK\r\n--xx--\r\n'
    ).encode()


def thunderbird():
    data = multipart("thunder")
    deliver(PORTS[1].lmtp, ALICE, data)
    wire = Wire(PORTS[1].imap)
    assert wire.greeting.startswith(b"* OK ")
    wire.command("CAPABILITY")
    secret = base64.b64encode(f"\0{ALICE}\0demo".encode()).decode()
    assert b"SASL-IR" in wire.one("CAPABILITY", b"CAPABILITY ")
    wire.command(f"AUTHENTICATE PLAIN {secret}")
    able = wire.one("CAPABILITY", b"CAPABILITY ").split()
    for name in [b"IMAP4rev1", b"IDLE", b"NAMESPACE", b"ID", b"UIDPLUS", b"MOVE", b"CONDSTORE", b"SPECIAL-USE"]:
        assert name in able, f"{name} is not in {able}"
    assert b'"name"' in wire.one('ID ("name" "Thunderbird" "version" "128.5.0")', b"ID ")
    assert wire.one("NAMESPACE", b"NAMESPACE ") == b'NAMESPACE (("" "/")) NIL NIL'
    for command in ['LIST "" "*"', 'LIST "" "*" RETURN (SPECIAL-USE)', 'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)']:
        boxes, _ = wire.command(command)
        names = {line.split(b'"/" ')[1].strip(b'"').decode() for line in boxes}
        assert names >= SPECIAL | {"INBOX"}, f"{command}: {boxes}"
        for name in SPECIAL:
            assert any(f"\\{name}".encode() in line and line.endswith(name.encode()) for line in boxes), f"{command}: {boxes}"
    subscribed, _ = wire.command('LSUB "" "*"')
    assert any(line.endswith(b"INBOX") for line in subscribed), subscribed
    assert wire.one('LIST "" ""', b"LIST ").endswith(b'"/" ""')
    assert wire.one('LIST "" "INBOX"', b"LIST ").endswith(b"INBOX")
    status = wire.one("STATUS \"INBOX\" (UIDNEXT MESSAGES UNSEEN RECENT)", b"STATUS ")
    exists = number("MESSAGES", status)
    assert number("RECENT", status) == 0

    opened, done = wire.command('SELECT "INBOX" (CONDSTORE)')
    assert done.startswith(b"OK [READ-WRITE]"), done
    assert f"{exists} EXISTS".encode() in opened and b"0 RECENT" in opened, opened
    joined = b"\r\n".join(opened)
    modseq = number("HIGHESTMODSEQ", joined)
    assert number("UIDNEXT", joined) == number("UIDNEXT", status)
    assert b"\\*" in joined and number("UIDVALIDITY", joined) > 0
    rows, _ = wire.command("UID FETCH 1:* (FLAGS)")
    assert len(rows) == exists and all(b"UID " in row for row in rows), rows
    uid = number("UID", rows[-1])
    row = wire.one(f"UID FETCH {uid} (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({HEADERS})])", f"{exists} FETCH".encode())
    # Answers name the section as asked (RFC 9051 section 7.5.2), fields in the order of the message, an empty line last.
    assert re.search(rb"BODY\[HEADER\.FIELDS \((.*?)\)\]", row)[1].upper() == HEADERS.upper().encode(), row
    (fields,) = literals(row)
    head, _, _ = data.partition(b"\r\n\r\n")
    assert fields == head.replace(b"\r\nMIME-Version: 1.0", b"") + b"\r\n\r\n", fields
    assert flags(row) == set(), row
    row = wire.one(f"UID fetch {uid} (UID RFC822.SIZE BODY.PEEK[])", f"{exists} FETCH".encode())
    (whole,) = literals(row)
    assert whole.endswith(data) and number("RFC822.SIZE", row) == len(whole)
    row = wire.one(f"UID fetch {uid} (UID BODYSTRUCTURE)", f"{exists} FETCH".encode())
    assert b'"MIXED"' in row.upper() and b'"A.PDF"' in row.upper(), row
    row = wire.one(f"UID fetch {uid} (UID BODY.PEEK[2.MIME] BODY.PEEK[2])", f"{exists} FETCH".encode())
    assert literals(row)[-1] == b"JVBERi0xLjQK" or b'BODY[2] "JVBERi0xLjQK"' in row, row
    # Chunks as mail.imap.chunk_size asks for them, the last one short (RFC 3501 section 6.4.5).
    parts, at = b"", 0
    while at < len(whole):
        row = wire.one(f"UID fetch {uid} (UID BODY.PEEK[]<{at}.100>)", f"{exists} FETCH".encode())
        assert f"BODY[]<{at}>".encode() in row, row
        parts += literals(row)[0] if literals(row) else re.search(rb'<\d+> "(.*)"\)?', row, re.S)[1]
        at += 100
    assert parts == whole

    row = wire.one(f"UID STORE {uid} +FLAGS (\\Seen $Forwarded)", f"{exists} FETCH".encode())
    assert flags(row) == {b"\\Seen", b"$Forwarded"} and number("MODSEQ", row) > modseq, row
    changed, _ = wire.command(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})")
    assert [number("UID", row) for row in changed] == [uid], changed

    other = Wire(PORTS[2].imap)
    other.command(f'login "{ALICE}" "demo"')
    wire.idle()
    until("node 2 has it", lambda: uids(2, ALICE, "thunder") == [uid])
    other.command('SELECT "INBOX"')
    other.command(f"UID STORE {uid} +FLAGS.SILENT (\\Flagged)")
    news = wire.response()
    assert b"FETCH" in news and b"\\Flagged" in news, news
    deliver(PORTS[3].lmtp, ALICE, message("while idle"))
    news = wire.response()
    assert news == f"* {exists + 1} EXISTS".encode(), news
    assert all(line == b"0 RECENT" for line in wire.done())
    late = number("UID", wire.one(f"UID FETCH {uid + 1}:* (FLAGS)", f"{exists + 1} FETCH".encode()))
    assert late > uid

    copy = multipart("sentcopy")
    _, done = wire.command(f'APPEND "Sent" (\\Seen) "03-Mar-2026 10:00:00 +0100" {{{len(copy)}}}', literal=copy)
    assert re.match(rb"OK \[APPENDUID \d+ \d+\]", done), done
    moved, done = wire.command(f'UID MOVE {late} "Trash"')
    assert b"COPYUID" in b" ".join(moved) + done and f"{exists + 1} EXPUNGE".encode() in moved, (moved, done)
    _, done = wire.command(f'UID COPY {uid} "Archive"')
    assert re.match(rb"OK \[COPYUID \d+ %d \d+\]" % uid, done), done
    # Deleting with UIDPLUS leaves other deleted messages alone (RFC 4315 section 2.1).
    wire.command(f"UID STORE {uid} +FLAGS (\\Deleted)")
    assert uid_list(wire, "UID SEARCH UNDELETED") == [n for n in uid_list(wire, "UID SEARCH ALL") if n != uid]
    gone, _ = wire.command(f"UID EXPUNGE {uid}")
    assert f"{exists} EXPUNGE".encode() in gone, gone
    assert wire.command("NOOP")[0] in ([], [b"0 RECENT"])
    wire.command("CHECK")
    opened, _ = wire.command('SELECT "Trash" (CONDSTORE)')
    assert b"1 EXISTS" in opened, opened
    wire.command("CLOSE")
    assert any(line.startswith(b"BYE") for line in wire.command("LOGOUT")[0])
    other.close()
    wire.close()


def uid_list(wire, command):
    return [int(uid) for uid in wire.one(command, b"SEARCH").split()[1:]]


K9_HEADERS = (
    "date subject from content-type to cc reply-to message-id references in-reply-to "
    "list-unsubscribe sender X-K9mail-Identity Chat-Version"
)


def k9():
    data = multipart("kninemail")
    deliver(PORTS[3].lmtp, CAROL, data)
    wire = Wire(PORTS[3].imap)
    secret = base64.b64encode(f"\0{CAROL}\0demo".encode()).decode()
    wire.command(f"AUTHENTICATE PLAIN {secret}")
    wire.command("CAPABILITY")
    wire.command('ID ("name" "K-9 Mail" "version" "6.8")')
    wire.command("NAMESPACE")
    boxes, _ = wire.command('LIST "" "*" RETURN (SPECIAL-USE)')
    assert len(boxes) >= 6
    opened, _ = wire.command('SELECT "INBOX"')
    (exists,) = [int(line.split()[0]) for line in opened if line.endswith(b" EXISTS")]
    (uid,) = uid_list(wire, 'UID SEARCH HEADER MESSAGE-ID "<kninemail@test>"')
    assert uid in uid_list(wire, "UID SEARCH 1:* NOT DELETED")
    assert uid in uid_list(wire, f"UID SEARCH {exists}:{exists} SINCE 1-Jan-2000 NOT DELETED")
    assert uid in uid_list(wire, "UID SEARCH UNSEEN")
    assert uid_list(wire, 'UID SEARCH CHARSET UTF-8 TEXT "kninemail" UNDELETED') == [uid]
    row = wire.one(
        f"UID FETCH {uid} (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({K9_HEADERS})])", f"{exists} FETCH".encode()
    )
    shown = email.message_from_bytes(literals(row)[0])
    assert shown["Subject"] == "kninemail" and shown["References"] and "Received" not in shown, shown
    assert re.search(rb'INTERNALDATE "[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [-+]\d{4}"', row), row
    wire.one(f"UID FETCH {uid} (UID BODYSTRUCTURE)", f"{exists} FETCH".encode())
    row = wire.one(f"UID FETCH {uid} (UID BODY.PEEK[1.MIME] BODY.PEEK[1])", f"{exists} FETCH".encode())
    assert literals(row)[-1].decode() == "Gr\u00fcezi", row
    row = wire.one(f"UID FETCH {uid} (UID BODY.PEEK[TEXT]<0.32768>)", f"{exists} FETCH".encode())
    assert literals(row)[0] == data.partition(b"\r\n\r\n")[2], row
    wire.command(f"UID STORE {uid} +FLAGS.SILENT (\\Seen)")
    assert flags(wire.one(f"UID FETCH {uid} (UID FLAGS)", f"{exists} FETCH".encode())) == {b"\\Seen"}
    draft = multipart("kninedraft")
    _, done = wire.command(f'APPEND "Drafts" (\\Seen \\Draft) {{{len(draft)}}}', literal=draft)
    assert done.startswith(b"OK"), done
    wire.idle()
    deliver(PORTS[1].lmtp, CAROL, message("for the phone"))
    assert wire.response() == f"* {exists + 1} EXISTS".encode()
    wire.done()
    # Commands in a pipe are answered in order (RFC 3501 section 5.5).
    wire.send(b"a NOOP\r\nb UID SEARCH ALL\r\nc NOOP\r\n")
    order = []
    while len(order) < 3:
        line = wire.response()
        if not line.startswith(b"*"):
            order.append(line[:4])
    assert order == [b"a OK", b"b OK", b"c OK"], order
    wire.command("XYZZY", expect="BAD")
    wire.command('SELECT "No such"', expect="NO")
    wire.command("UID FETCH 1:* (FLAGS)", expect="BAD")
    wire.command("LOGOUT")
    wire.close()


def main():
    for program, package in [("swaks", "swaks"), ("curl", "curl"), ("mbsync", "isync")]:
        assert shutil.which(program), f"{program} is needed: apt-get install {package}"
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "demo")
        with running_demo(BINARY, data, OFFSET) as demo:
            for user in [ALICE, BOB, CAROL]:
                at_every_node(f"sample mail of {user}", lambda node: len(uids(node, user, "", "ALL")) >= 1)
            steps = {
                "swaks": lambda: swaks(folder),
                "curl": lambda: curl_imap(folder),
                "pages": pages,
                "mbsync": lambda: mbsync(folder),
                "IMAPClient": imapclient_idle,
                "Thunderbird": thunderbird,
                "K-9": k9,
            }
            for name, step in steps.items():
                if sys.argv[3:] and name not in sys.argv[3:]:
                    continue
                step()
                print(f"{name}: as expected", flush=True)
            assert demo.terminate() == 0


main()
