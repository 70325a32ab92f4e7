"""A loopback server that speaks Alyx from captured answers, and serves files as the data server does; and its faults."""

import base64
import copy
import hashlib
import json
import re
import socket
import struct
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "0123456789abcdef0123456789abcdef01234567"
PASSWORD = "a-planted-password-7391"
DATA_LOGIN, DATA_PASSWORD = "files", "another-planted-password-5518"
PROJECT = "ibl_fibrephotometry"


class AlyxServer:
    """Sessions as captured, files as given by dataset name; both can be changed while it runs.

    `faults` is a list of (pattern of the path, kind) that each spoil one request; `always` the same for all requests.
    """

    def __init__(self, captured, contents, special=None):
        self.details, self.faults, self.always, self.asked = {}, [], [], []
        self.contents = contents
        self.files = {}
        self.token = TOKEN
        self.on_request = None
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.http, self.url = server, f"http://127.0.0.1:{server.server_port}"
        for path in sorted(captured.glob("sessions.read.*.json")):
            detail = json.loads(self._located(path.read_text()))
            if "id" in detail:
                self.details[detail["id"]] = detail
                for dataset in detail["data_dataset_session_related"]:
                    self.serve(dataset, (special or {}).get(detail["id"], {}))
        self.subjects = json.loads(self._located((captured / "subjects.list.by-session-project.json").read_text()))
        self.insertions = json.loads(self._located((captured / "chronic-insertions.list.json").read_text()))["results"]
        self.trajectories = json.loads(self._located((captured / "trajectories.list.json").read_text()))["results"]
        self.thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def _located(self, text):
        return text.replace("{{ALYX}}", self.url).replace("{{DATA}}", self.url + "/data")

    def serve(self, dataset, own):
        """Register the content that a dataset has here."""
        content = own.get(dataset["name"], self.contents.get(dataset["name"], dataset["name"].encode()))
        if dataset["data_url"]:
            self.files[self._data_path(dataset)] = content
        dataset["file_size"], dataset["hash"] = len(content), hashlib.md5(content).hexdigest()

    def register(self, eid, collection, name):
        """Add a dataset that the captured session lacks, with the content that its name has here."""
        detail = self.details[eid]
        number = str(uuid.uuid5(uuid.UUID(eid), f"{collection}/{name}"))
        number = f"{number[:14]}4{number[15:]}"
        folder = f"{detail['lab']}/Subjects/{detail['subject']}/{detail['start_time'][:10]}/{detail['number']:03d}"
        stem, _, suffix = name.rpartition(".")
        dataset = {"id": number, "name": name, "collection": collection, "default_revision": "True", "revision": ""}
        dataset["data_url"] = f"{self.url}/data/{folder}/{collection}/{stem}.{number}.{suffix}"
        self.serve(dataset, {})
        detail["data_dataset_session_related"].append(dataset)

    def dataset(self, eid, name):
        return next(d for d in self.details[eid]["data_dataset_session_related"] if d["name"] == name)

    def file_path(self, eid, name):
        return self._data_path(self.dataset(eid, name))

    def _data_path(self, dataset):
        # a revision is between number signs, which are no fragment here
        return dataset["data_url"].removeprefix(self.url + "/data")

    def count(self, pattern):
        return sum(bool(re.search(pattern, path)) for path in self.asked)

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def listed(self, filters):
        """Return the sessions that a filter leaves, as a list has them, latest first."""
        words = filters.split(",")
        asked = dict(zip(words[::2], words[1::2], strict=True))
        since = asked.get("auto_datetime__gte", "")
        names = ["id", "subject", "start_time", "number", "lab", "projects", "url", "task_protocol"]
        found = [d for d in self.details.values() if PROJECT in d["projects"] and (d["auto_datetime"] or "") >= since]
        found.sort(key=lambda d: d["start_time"] or "9", reverse=True)
        return [{name: d.get(name) for name in names} for d in found]


def write_one_settings(home, server, *, token=TOKEN, password=None):
    """Set ONE up for the server in a home folder, as `ONE.setup` would."""
    key = server.url.removeprefix("http://").replace(":", "_")
    folder = home / ".one"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".caches").write_text(json.dumps({"CLIENT_MAP": {key: str(home / "one")}, "DEFAULT": key}))
    settings = {
        "ALYX_URL": server.url,
        "ALYX_LOGIN": "test_user",
        "HTTP_DATA_SERVER": server.url + "/data",
        "HTTP_DATA_SERVER_LOGIN": DATA_LOGIN,
        "HTTP_DATA_SERVER_PWD": DATA_PASSWORD,
    }
    if token:
        settings["TOKEN"] = {"test_user": {"token": token}}
    if password:
        settings["ALYX_PWD"] = password
    (folder / f".{key}").write_text(json.dumps(settings))


def _handler(alyx):  # noqa: C901 - one class in a closure
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body in one packet
        wbufsize = -1

        def log_message(self, *_arguments):
            pass

        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            given = parse_qs(self.rfile.read(length).decode())
            alyx.asked.append(self.path)
            if given.get("password") == [PASSWORD]:
                self.answer(200, {"token": alyx.token})
            else:
                self.answer(400, {"non_field_errors": ["Unable to log in."], "status_code": 400})

        def do_GET(self):
            alyx.asked.append(self.path)
            if alyx.on_request:
                alyx.on_request(self.path)
            for faults in (alyx.always, alyx.faults):
                for fault in faults:
                    if re.search(fault[0], self.path):
                        if faults is alyx.faults:
                            faults.remove(fault)
                        return getattr(self, fault[1])()
            if self.path.startswith("/data/"):
                return self.file()
            if self.headers.get("Authorization") != f"Token {alyx.token}":
                return self.answer(403, {"detail": "Invalid token.", "status_code": 403})
            return self.api()

        def api(self):
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if re.fullmatch(r"/sessions/[0-9a-f-]{36}", parts.path):
                detail = alyx.details.get(parts.path[-36:])
                return self.answer(200, detail) if detail else self.answer(404, {"detail": "No Session matches."})
            if parts.path == "/api/schema":
                # as much as ONE's own client needs to know of the server
                get = {"get": {"parameters": [{"name": name} for name in ("id", "django", "limit", "offset")]}}
                return self.answer(200, {"paths": {"/sessions": get, "/sessions/{id}": get}})
            if parts.path == "/sessions" and query.get("django", "").startswith("pk,"):
                found = [alyx.details[eid] for eid in alyx.details if eid == query["django"][3:]]
                return self.answer(200, {"count": len(found), "next": None, "previous": None, "results": found})
            filters = query.get("django", f"projects__name,{PROJECT}")
            if parts.path == "/sessions":
                rows = alyx.listed(filters)
            elif parts.path == "/datasets":
                since = filters.rpartition(",")[2]
                rows = [
                    {
                        "url": f"{alyx.url}/datasets/{d['id']}",
                        "session": f"{alyx.url}/sessions/{s['id']}",
                        "auto_datetime": d["auto_datetime"],
                    }
                    for s in alyx.details.values()
                    for d in s["data_dataset_session_related"]
                    if PROJECT in s["projects"] and d.get("auto_datetime", "") >= since
                ]
            elif parts.path == "/subjects":
                rows = alyx.subjects["results"]
            elif parts.path == "/chronic-insertions":
                rows = alyx.insertions
            elif parts.path == "/trajectories":
                rows = [row for row in alyx.trajectories if row["chronic_insertion"]]
            else:
                rows = []
            limit, offset = int(query.get("limit", 250)), int(query.get("offset", 0))
            more = f"{alyx.url}{parts.path}?more" if offset + limit < len(rows) else None
            return self.answer(
                200, {"count": len(rows), "next": more, "previous": None, "results": rows[offset:][:limit]}
            )

        def file(self):
            login = base64.b64encode(f"{DATA_LOGIN}:{DATA_PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {login}":
                return self.send(401, b"", {"WWW-Authenticate": 'Basic realm="data"'})
            content = alyx.files.get(unquote(self.path)[len("/data") :])
            return self.send(404, b"gone") if content is None else self.send(200, content)

        def answer(self, status, body):
            self.send(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

        def send(self, status, body, headers=None):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def drop(self):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def hang(self):
            time.sleep(3)
            self.drop()

        def html(self):
            self.send(200, b"<html>welcome to the hotel network</html>", {"Content-Type": "text/html"})

        def cut(self):
            """Send half of what is announced."""
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"count": 1, "results": [')
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def throttled(self):
            self.send(429, b'{"detail": "throttled"}', {"Retry-After": "0.1"})

        def throttled_for_long(self):
            self.send(429, b'{"detail": "throttled"}', {"Retry-After": "400"})

    for status in (401, 403, 404, 414, 500, 502, 503):
        setattr(Handler, f"status_{status}", lambda self, status=status: self.send(status, b'{"detail": "planted"}'))
    return Handler


def copied_session(detail, eid, day):
    """Return a session like another one, of another day."""
    other = copy.deepcopy(detail)
    other["id"], other["start_time"] = eid, f"{day}T10:00:00"
    other["end_time"] = f"{day}T11:00:00"
    other["data_dataset_session_related"] = []
    return other
