# SPDX-License-Identifier: Apache-2.0
"""An S3 server in a few lines, for what programs say of a store that goes
wrong.  It keeps objects in memory, looks at no signature, and asks `script`
first: a function of the request that answers it and returns True, or returns
a false value."""
import hashlib
import http.server
import re
import threading
import urllib.parse
from xml.sax.saxutils import escape


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, code, message="", more=""):
        self.answer(status, f"<Error><Code>{code}</Code><Message>{message}"
                    f"</Message>{more}</Error>".encode(),
                    Content_Type="application/xml")

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, True))
        self.key = urllib.parse.unquote(url.path.lstrip("/").partition("/")[2])
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        self.server.count += 1
        if not self.server.script(self):
            getattr(self, "on_" + self.command.lower())()

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

    def on_put(self):
        with self.server.lock:
            if self.headers.get("If-None-Match") == "*" \
                    and self.key in self.server.objects:
                self.error(412, "PreconditionFailed")
                return
            kept = {name: value for name, value in self.headers.items()
                    if name.lower().startswith("x-amz-meta-")}
            self.server.objects[self.key] = (self.body, kept)
        self.answer(200, ETag=f'"{hashlib.md5(self.body).hexdigest()}"')

    def on_get(self):
        if self.query.get("list-type") == "2":
            self.list()
            return
        if self.key not in self.server.objects:
            self.error(404, "NoSuchKey")
            return
        data, kept = self.server.objects[self.key]
        part = re.fullmatch(r"bytes=(\d*)-(\d*)",
                            self.headers.get("Range", ""))
        kept = {name.replace("-", "_"): value for name, value in kept.items()}
        if part is None:
            self.answer(200, data, **kept)
            return
        first, last = part.groups()
        begin = int(first) if first else max(len(data) - int(last), 0)
        end = min(int(last) + 1 if first and last else len(data), len(data))
        if begin >= end:
            self.error(416, "InvalidRange")
            return
        self.answer(206, data[begin:end], **kept,
                    Content_Range=f"bytes {begin}-{end - 1}/{len(data)}")

    def on_head(self):
        found = self.server.objects.get(self.key)
        if found is None:
            self.answer(404)
        else:
            self.answer(200, Content_Length=str(len(found[0])))

    def list(self):
        after = self.query.get("continuation-token",
                               self.query.get("start-after", ""))
        limit = int(self.query.get("max-keys", 1000))
        with self.server.lock:
            keys = sorted(k for k in self.server.objects
                          if k.startswith(self.query.get("prefix", ""))
                          and k > after)
        more = len(keys) > limit
        keys = keys[:limit]
        rows = "".join(
            f"<Contents><Key>{escape(k)}</Key>"
            f"<Size>{len(self.server.objects[k][0])}</Size></Contents>"
            for k in keys)
        token = f"<NextContinuationToken>{escape(keys[-1])}" \
                "</NextContinuationToken>" if more else ""
        self.answer(200, f"<ListBucketResult><IsTruncated>{str(more).lower()}"
                    f"</IsTruncated>{token}{rows}</ListBucketResult>".encode())

    def on_delete(self):
        with self.server.lock:
            self.server.objects.pop(self.key, None)
        self.answer(204)

    def on_post(self):  # Batches of deletions alone.
        for key in re.findall(rb"<Key>([^<]*)</Key>", self.body):
            with self.server.lock:
                self.server.objects.pop(key.decode(), None)
        self.answer(200, b"<DeleteResult></DeleteResult>")


class S3(http.server.ThreadingHTTPServer):
    """A server on a port of its own, running."""
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script=lambda request: False):
        super().__init__(("127.0.0.1", 0), Request)
        self.script = script
        self.objects = {}
        self.count = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # A client that went away.

    def uri(self, place="bucket/x", scheme="http", more=""):
        return f"s3://{place}?endpoint={scheme}://127.0.0.1:" \
               f"{self.server_address[1]}{more}"
