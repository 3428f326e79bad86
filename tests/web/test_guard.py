"""Who may reach the pages: no other site, no other name, nobody without the token, and no path from outside."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from command_line import CommandLine
from page_server import serving

SECRET = "/etc/passwd"
KEY = "0123456789abcdef01234567"


def pairs(address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(httpx.URL(address).join("/api/pairs")).json()["pairs"]
    return found


@pytest.mark.parametrize("path", ["/review", "/static/review.js", "/api/pairs", "/nowhere", "/api/pairs?where=("])
def test_every_answer_has_the_strict_headers(address: str, path: str) -> None:
    headers = httpx.get(httpx.URL(address).join(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_another_name_for_this_machine_is_refused(address: str) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "[::1", ""):
        answer = httpx.get(httpx.URL(address).join("/api/pairs"), headers={"Host": host})
        assert answer.status_code in (400, 421), host
        assert "pairs" not in answer.text
    port = urlsplit(address).port
    assert httpx.get(f"http://localhost:{port}/api/pairs").status_code == 200


def test_nothing_is_changed_by_another_site(address: str) -> None:
    pair = pairs(address)[0]
    url = httpx.URL(address).join(f"/api/pairs/{pair['id']}/decide")
    body = {"verdict": "reject", "seen": pair["decision"]}
    refused = [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ]
    for headers, status in refused:
        assert httpx.post(url, content=json.dumps(body), headers=headers).status_code == status, headers
    for text in (
        "",
        "[]",
        "{",
        '{"verdict": "reject"}',
        '{"verdict": 1, "seen": 0}',
        '{"verdict": "reject", "seen": true}',
        '{"verdict": "reject", "seen": -1}',
        f'{{"verdict": "reject", "seen": {1 << 63}}}',
        "[" * 100_000,
    ):
        answer = httpx.post(url, content=text, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, text
    answer = httpx.post(url, content=b" " * (2 << 20), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert pairs(address)[0]["verdict"] is None


def test_no_path_from_outside_is_looked_up(address: str, root: Path) -> None:
    pair = pairs(address)[0]["id"]
    for path in (
        f"/pictures/{pair}/{KEY}/..%2f..%2fdpedkit.toml",
        f"/pictures/{pair}/{KEY}/%2e%2e%2fcorpus.db",
        f"/pictures/..%2f..%2f/{SECRET}",
        "/static/..%2fapp.py",
        "/static/../app.py",
        f"/static/{SECRET}",
        f"/pictures/{'0' * 64}/{KEY}/thumb.jpg",
        f"/pictures/{pair}/..%2f..%2f..%2fphotos/thumb.jpg",
        f"/pictures/{pair}/{KEY}%2f../thumb.jpg",
        f"/pictures/{pair}/{KEY}/thumb.jpg%00",
        f"/pictures/{pair}'%20or%20'1'='1/{KEY}/thumb.jpg",
        "/api/pairs/x'%20or%20'1'='1",
    ):
        assert httpx.get(httpx.URL(address).copy_with(raw_path=path.encode())).status_code in (400, 404), path
    host, port = urlsplit(address).hostname, urlsplit(address).port
    with socket.create_connection((str(host), int(port or 0))) as raw:
        raw.sendall(b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := raw.recv(65536):
            answer += chunk
    assert b"404" in answer.splitlines()[0]
    assert b"root:" not in answer


def test_beyond_loopback_a_token_is_asked_for(cli: CommandLine, root: Path) -> None:
    with serving(cli, root, "--host", "0.0.0.0") as printed:
        address = printed.replace("0.0.0.0", "127.0.0.1")
        bare = address.partition("?")[0]
        assert httpx.get(bare).status_code == 401
        assert httpx.get(f"{bare}?token=wrong").status_code == 401
        assert httpx.get(bare, headers={"Cookie": "dpedkit=wrong"}).status_code == 401
        with httpx.Client() as visitor:
            welcome = visitor.get(address)
            assert welcome.status_code == 303
            assert welcome.headers["location"] == "/review"
            cookie = welcome.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert visitor.get(bare).status_code == 200
            assert visitor.get(httpx.URL(bare).join("/api/pairs")).json()["count"] == 5


def test_a_port_that_is_taken_is_named(cli: CommandLine, root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}: " in cli.error("review", "--no-browser", "--port", port, cwd=root, code=1)
    assert "no host 'nowhere.invalid'" in cli.error(
        "review", "--no-browser", "--host", "nowhere.invalid", cwd=root, code=2
    )
