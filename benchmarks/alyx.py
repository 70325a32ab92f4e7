"""Requests and seconds of listing a project of 3,000 sessions on a loopback server: first, without news, with ten news.

Needs captured answers beside the checkout (or where `IBLNM_SHARED` says). Stands beside: 7 list requests and one per new session.
"""

import os
import sys
import tempfile
import time
import uuid
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from tests_support.alyx import AlyxServer, copied_session, write_one_settings  # noqa: E402

from iblnm_core.sources.alyx import AlyxSource  # noqa: E402

N_SESSIONS = 3000


def main():
    captured = Path(os.environ.get("IBLNM_SHARED", REPOSITORY.parent / "shared")) / "alyx_responses"
    server = AlyxServer(captured, {})
    like = next(detail for detail in server.details.values() if detail["subject"] == "CQ002")
    server.details.clear()
    add(server, like, N_SESSIONS, "2026-11-01T00:00:00")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        write_one_settings(Path(folder), server)
        print(f"{'listing':<24}{'lists':>8}{'details':>9}{'seconds':>9}")
        measured("first", server, folder)
        measured("without news", server, folder)
        add(server, like, 10, "2026-11-20T00:00:00")
        measured("ten new sessions", server, folder)
    server.close()


def add(server, like, count, saved):
    for number in range(count):
        eid = str(uuid.uuid4())
        day = f"{2000 + number // 336}-{number // 28 % 12 + 1:02d}-{number % 28 + 1:02d}"
        server.details[eid] = {**copied_session(like, eid, day), "auto_datetime": saved}
    server.details[eid]["auto_datetime"] = f"{saved[:11]}12:00:00"


def measured(what, server, folder):
    server.asked.clear()
    started = time.perf_counter()
    listing = AlyxSource(Path(folder) / "cache", server.url).list_sessions()
    seconds = time.perf_counter() - started
    details = server.count("^/sessions/")
    assert len(listing.records) == len(server.details)
    print(f"{what:<24}{len(server.asked) - details:>8}{details:>9}{seconds:>9.1f}")


if __name__ == "__main__":
    main()
