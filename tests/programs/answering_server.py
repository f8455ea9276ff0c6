"""A server that does nothing but answer; prints its port and, after ``COUNT`` requests, the seconds between the first
and the last.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

count, first, last = int(sys.argv[1]), 0.0, 0.0


class Server(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport, self.data, self.missing = transport, b"", -1

    def data_received(self, data: bytes) -> None:
        global count, first, last
        self.data += data
        while True:
            if self.missing < 0:
                end = self.data.find(b"\r\n\r\n")
                if end < 0:
                    return
                head = self.data[:end].lower()
                at = head.index(b"content-length:") + 15
                self.missing = int(head[at:].split(b"\r\n", 1)[0])
                self.data = self.data[end + 4 :]
            if len(self.data) < self.missing:
                return
            self.data, self.missing = self.data[self.missing :], -1
            last = time.monotonic()
            first = first or last
            count -= 1
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            if count == 0:
                print(last - first, flush=True)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
