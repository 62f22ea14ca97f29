# SPDX-License-Identifier: Apache-2.0
"""An S3 server in a few lines, for what programs say of a store that goes
wrong.  It keeps objects in memory, looks at no signature, and asks `script`
first: a function of the request that answers it and returns True, or returns
a false value."""
import base64
import hashlib
import http.server
import re
import threading
import urllib.parse
from xml.sax.saxutils import escape


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return (crc ^ 0xffffffff).to_bytes(4, "big")


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

    def is_damaged(self):
        """The body is not what its hash or checksum tells."""
        hashed = self.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        summed = self.headers.get("x-amz-checksum-crc32c")
        if hashed not in ("UNSIGNED-PAYLOAD",
                          hashlib.sha256(self.body).hexdigest()):
            self.error(400, "XAmzContentSHA256Mismatch")
            return True
        if summed is not None and base64.b64decode(summed) != crc32c(self.body):
            self.error(400, "BadDigest")
            return True
        return False

    def keep(self, body, kept):
        """Make an object, unless it must not be there and is."""
        with self.server.lock:
            if self.headers.get("If-None-Match") == "*" \
                    and self.key in self.server.objects:
                self.error(412, "PreconditionFailed")
                return False
            self.server.objects[self.key] = (body, kept)
        return True

    def metadata(self):
        return {name: value for name, value in self.headers.items()
                if name.lower().startswith("x-amz-meta-")}

    def on_put(self):
        if self.is_damaged():
            return
        tag = f'"{hashlib.md5(self.body).hexdigest()}"'
        if "uploadId" in self.query:
            parts = self.server.uploads[self.query["uploadId"]][1]
            parts[int(self.query["partNumber"])] = self.body
            self.answer(200, ETag=tag)
        elif self.keep(self.body, self.metadata()):
            self.answer(200, ETag=tag)

    def upload(self):
        """Begin an upload in parts."""
        number = f"upload-{len(self.server.uploads)}"
        self.server.uploads[number] = (self.metadata(), {})
        self.answer(200, f"<InitiateMultipartUploadResult><UploadId>{number}"
                    "</UploadId></InitiateMultipartUploadResult>".encode())

    def complete(self):
        kept, parts = self.server.uploads[self.query["uploadId"]]
        body = b"".join(parts[number] for number in sorted(parts))
        if self.keep(body, kept):
            self.answer(200, b"<CompleteMultipartUploadResult><ETag>x</ETag>"
                        b"</CompleteMultipartUploadResult>")

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

    def on_post(self):
        if "uploads" in self.query:
            self.upload()
            return
        if "uploadId" in self.query:
            self.complete()
            return
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
        self.uploads = {}
        self.count = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # A client that went away.

    def uri(self, place="bucket/x", scheme="http", more=""):
        return f"s3://{place}?endpoint={scheme}://127.0.0.1:" \
               f"{self.server_address[1]}{more}"
