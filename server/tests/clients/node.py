"""Starts and stops the real program, and talks to it with Python's own clients. Everything is bounded."""

import contextlib
import imaplib
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

DEADLINE_S = 60


def until(what, check):
    """Polls `check` until it gives something true; fails after DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    last = None
    while time.monotonic() < end:
        try:
            result = check()
            if result:
                return result
        except (OSError, imaplib.IMAP4.error, smtplib.SMTPException, EOFError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {DEADLINE_S} s; last error: {last!r}")


def http(port, path):
    """The status and the JSON (or text) of a health page, also where it answers 503."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body.decode()


class Ports:
    def __init__(self, node, offset):
        base = node * 1000 + offset
        self.imap, self.lmtp, self.http = base + 143, base + 24, base + 80


def run(binary, *args, stdin="", expect=0):
    done = subprocess.run([binary, *args], input=stdin, capture_output=True, text=True, timeout=DEADLINE_S)
    if done.returncode != expect:
        raise AssertionError(f"{args} ended with {done.returncode}, not {expect}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def message(number, size=400):
    head = f"From: sender@example.net\r\nSubject: message {number}\r\nMessage-ID: <{number}@test>\r\n\r\n"
    lines = (f"line {i} of {number}: .dots and \xfcmlauts\r\n" for i in range(size // 40 + 1))
    return head.encode() + "".join(lines).encode("utf-8") + b".\r\n..\r\nlast\r\n"


def deliver(port, recipient, data):
    """Returns the server's replies; raises if any recipient was refused."""
    with smtplib.LMTP("127.0.0.1", port, timeout=30) as lmtp:
        lmtp.ehlo_or_helo_if_needed()
        code, text = lmtp.mail("sender@example.net")
        if code != 250:
            raise smtplib.SMTPResponseException(code, text)
        code, text = lmtp.rcpt(recipient)
        if code != 250:
            raise smtplib.SMTPResponseException(code, text)
        code, text = lmtp.data(data)
        if code != 250:
            raise smtplib.SMTPResponseException(code, text)
        return text.decode()


def login(port, user="alice@example.org", password="demo"):
    imap = imaplib.IMAP4("127.0.0.1", port, timeout=30)
    imap.login(user, password)
    return imap


def bodies(imap, mailbox="INBOX"):
    """UID → (octets behind the trace, flags). The trace ends with our Received line's last continuation."""
    imap.select(mailbox, readonly=True)
    found = {}
    kind, rows = imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")
    assert kind == "OK", rows
    for row in rows:
        if isinstance(row, tuple):
            head = row[0].decode()
            uid = int(head.split("UID ")[1].split(" ")[0].rstrip(")"))
            assert uid not in found, f"UID {uid} twice"
            start = row[1].find(b"From: sender@example.net")
            found[uid] = (row[1][max(start, 0):], imaplib.ParseFlags(row[0]))
    return found


class Process:
    def __init__(self, *command, log=None):
        """What it prints is added to the file `log`, if one is given."""
        out = open(log, "ab") if log else None
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if out:
            out.close()

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


@contextlib.contextmanager
def running_demo(binary, data, offset, *options):
    """A demo, once its nodes are ready. Shows how their logs end if the body fails; ends the demo if the body has not."""
    demo = Process(binary, "demo", "--data", data, "--port-offset", str(offset), *options)
    nodes = {node: Ports(node, offset) for node in [1, 2, 3]}
    try:
        for node, ports in nodes.items():
            until(f"node {node} is ready", lambda: http(ports.http, "/health/ready")[0] == 200)
        yield demo
    except BaseException:
        for node in nodes:
            show_end(f"node {node}", os.path.join(data, f"node-{node}", "gotthard.log"))
        raise
    finally:
        if demo.process.poll() is None:
            demo.terminate()


def show_end(title, path, lines=20):
    """A node that never started has no log; then that is what is shown."""
    try:
        with open(path) as log:
            text = "".join(log.readlines()[-lines:])
    except OSError as error:
        text = f"{error}\n"
    print(f"---- {title}\n{text}", file=sys.stderr)


class Cluster:
    """Nodes from `cluster init`, each a process, under a folder of their own."""

    def __init__(self, binary, top, offset, shards, sites):
        """`sites`: node to site, of those that found it."""
        self.binary, self.dir, self.offset = binary, os.path.join(top, "cluster"), offset
        self.processes = {}
        nodes = [f"{node}={site}@{self.peer(node)}" for node, site in sites.items()]
        self.init_args = [arg for node in nodes for arg in ("--node", node)]
        laid_out = run(binary, "cluster", "init", "--dir", self.dir, "--mail-shards", str(shards), *self.init_args, "--json")
        self.layout = json.loads(laid_out)

    def peer_port(self, node):
        return node * 1000 + self.offset + 700

    def peer(self, node):
        return f"127.0.0.1:{self.peer_port(node)}"

    def folder(self, node):
        return os.path.join(self.dir, f"node-{node}")

    def config(self, node):
        return os.path.join(self.folder(node), "gotthard.toml")

    def log(self, node):
        """Beside the folder, which a test may delete."""
        return os.path.join(self.dir, f"node-{node}.log")

    def start(self, node):
        self.processes[node] = Process(self.binary, "serve", "--config", self.config(node), log=self.log(node))

    @contextlib.contextmanager
    def running(self, ports):
        """The founders, once each of them (`ports`) is ready. Shows how their logs end if the body fails; leaves no process."""
        try:
            for node in ports:
                self.start(node)
            for node in ports:
                until(f"node {node} is ready", lambda: http(ports[node].http, "/health/ready")[0] == 200)
            yield self.processes
        except BaseException:
            for node in self.processes:
                show_end(f"node {node}", self.log(node))
            raise
        finally:
            for process in self.processes.values():
                if process.process.poll() is None:
                    process.kill()
