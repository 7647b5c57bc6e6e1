"""A hundred receivers of webhooks, as a process of its own.

    python3 -B scripts/bench/receivers.py

At first each says 410, so that what is for it is held. `POST /open` lets all answer 200, but
`/r/hole`, which takes what comes and never answers. `GET /count` tells how many were answered, and
when the last of them was (time.perf_counter, which all processes of a machine share).
"""

import asyncio
import json
import signal
import time

is_open = False
count = 0
last = 0.0


async def read_request(reader: asyncio.StreamReader):
    """The path of the next request, or None when there is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *headers = head.decode("latin-1").split("\r\n")
    length = next((int(value) for name, _, value in (header.partition(":") for header in headers)
                   if name.lower() == "content-length"), 0)
    await reader.readexactly(length)
    return line.split(" ")[1]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global is_open, count, last
    try:
        while True:
            path = await read_request(reader)
            status, body = "200 OK", b""
            if path == "/open":
                is_open = True
            elif path == "/count":
                body = json.dumps({"count": count, "last": last}).encode()
            elif not is_open:
                status = "410 Gone"
            elif path == "/r/hole":
                await asyncio.sleep(3600)
            else:
                count, last = count + 1, time.perf_counter()
            head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
