"""A real S3 server (moto's) on loopback, behind a line that can break, stall, alter or lose what it carries."""

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import requests
from moto.server import ThreadedMotoServer

BUCKET = "openneuro.org"
MEETING = 4  # requests
PAGE = 2  # files that an answer to a listing holds, where S3 itself gives 1000


class Line(BaseHTTPRequestHandler):
    """Carries requests to the server; ``faults`` says what happens to the next answers of a path.

    One that stalls does so until the event ``stalled``; those that meet are held until so many are on the line at once as the
    barrier ``meeting`` is for.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = f"{self.path}&max-keys={PAGE}" if "list-type=2" in self.path else self.path
        answer = requests.get(self.server.behind + path, headers=dict(self.headers), timeout=20)
        name = self.path.partition("?")[0].removeprefix(f"/{BUCKET}/").partition("/")[2]
        self.server.seen.append((name, self.headers.get("Range")))
        faults = self.server.faults.get(name, [])
        fault = faults.pop(0) if faults else None
        if fault == "meet":
            with suppress(threading.BrokenBarrierError):  # the test asks the barrier whether they met
                self.server.meeting.wait(timeout=30)
        body, status = answer.content, answer.status_code
        if fault == "altered":
            body = b"?" + body[1:]
        if fault == "lost":
            status, body = 404, b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"
        if fault == "busy":
            status, body = 503, b"<Error><Code>SlowDown</Code><Message>please</Message></Error>"
        self.send_response(status)
        for key, value in answer.headers.items():
            if key.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault in ("cut", "stall"):
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            if fault == "stall":
                self.server.stalled.wait(timeout=60)
            return
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Bucket:
    """What a test puts into the bucket, and what went over the line."""

    def __init__(self, client, line: ThreadingHTTPServer):
        self.client, self.faults, self.seen = client, line.faults, line.seen
        self.stalled, self.meeting = line.stalled, line.meeting
        self.url = f"http://127.0.0.1:{line.server_port}"

    def put(self, path: str, body: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=path, Body=body, ACL="public-read")

    def gets(self, path: str) -> list:
        """Return the ranges asked of a file, in order."""
        return [wanted for name, wanted in self.seen if name == path]


@contextmanager
def serve():
    """Yield a :class:`Bucket`; the server and the line end with it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    behind = "http://{}:{}".format(*server.get_host_and_port())
    line = ThreadingHTTPServer(("127.0.0.1", 0), Line)
    line.behind, line.faults, line.seen = behind, {}, []
    line.stalled, line.meeting = threading.Event(), threading.Barrier(MEETING)
    threading.Thread(target=line.serve_forever, daemon=True).start()
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=behind, **keys)
    client.create_bucket(Bucket=BUCKET)
    try:
        yield Bucket(client, line)
    finally:
        line.shutdown()
        server.stop()
