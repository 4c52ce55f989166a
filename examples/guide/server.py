"""A local HTTP server that answers after a while: "hello from PATH" to who brings the right bearer token, else 401."""

from __future__ import annotations

import asyncio
import threading


class Server:
    """Listens on a free port of this machine, on a thread of its own, until the program ends."""

    def __init__(self, delay: float, token: str) -> None:
        self.delay, self.requests = delay, 0
        self._wanted = f"authorization: bearer {token}".lower().encode()
        self._loop = asyncio.new_event_loop()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512))
        self.port = server.sockets[0].getsockname()[1]
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                request = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            self.requests += 1
            path = request.split(b" ", 2)[1]
            allowed = self._wanted in request.lower()
            body = (b"hello from " if allowed else b"who are you? ") + path
            await asyncio.sleep(self.delay)
            status = b"200 OK" if allowed else b"401 Unauthorized"
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()


class ClientSession:
    """As much of an HTTP session as the programs need; connections are kept and used again."""

    def __init__(self) -> None:
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, url: str, headers: dict[str, str]) -> tuple[int, str]:
        """Status and body."""
        host, path = url.removeprefix("http://").split("/", 1)
        name, port = host.split(":")
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection(name, int(port))
        lines = [f"GET /{path} HTTP/1.1", f"Host: {host}", *(f"{key}: {value}" for key, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
        body = (await reader.readexactly(length)).decode()
        self._free.append((reader, writer))
        return int(head.split(" ", 2)[1]), body
