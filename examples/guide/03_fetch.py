"""Asynchronous fetches with a bearer token, row and batch, from a local server that takes 10 ms an answer.

    03_fetch.py [--json] [ROWS]

The method is written for one URL; mapped over 100 of them its calls overlap, and results keep the order of the URLs.
The batch method has no return type and calls a helper through self. 03_fetch.c in Python; "starts" are the requests
that the server saw.
"""

from __future__ import annotations

import asyncio
import sys

import houndstooth as daft
from guide import digest, parse, report
from houndstooth import Pipeline, Series, node
from server import ClientSession, Server


@daft.cls
class APIClient:
    def __init__(self, api_key: str):
        self.api_key = api_key
        self.session = ClientSession()

    async def fetch_data(self, url: str) -> str:
        return await self._fetch_one(self.session, url)

    @daft.method.batch()
    async def fetch_batch(self, urls: Series) -> Series:
        url_list = urls.to_pylist()
        tasks = [self._fetch_one(self.session, url) for url in url_list]
        results = await asyncio.gather(*tasks)
        return Series.from_pylist(results)

    async def _fetch_one(self, session, url):
        status, text = await session.get(url, headers={"Authorization": f"Bearer {self.api_key}"})
        if status != 200:
            raise PermissionError(f"{url}: the server answered {status}")
        return text


@node(output_name="page")
async def fetch(url: str, client: APIClient) -> str:
    return await client.fetch_data(url)


def main() -> int:
    options = parse(100)
    server = Server(0.01, "secret")
    urls = [f"http://127.0.0.1:{server.port}/page/{i}" for i in range(options.rows)]
    pipeline = Pipeline([fetch], name="fetch")
    made, ways = [], []

    async def row_by_row(client):
        return [await client.fetch_data(url) for url in urls]

    async def automatic(client):
        rows = await pipeline.amap({"url": urls, "client": client}, map_over="url")
        return [row["page"] for row in rows]

    async def by_hand(client):
        return (await client.fetch_batch(Series.from_pylist(urls))).to_pylist()

    async def run(way):
        client = APIClient("secret")
        await by_hand(client)  # a first round opens the connections
        loop, before = asyncio.get_running_loop(), server.requests
        start = loop.time()
        pages = await way(client)
        took = {"seconds": loop.time() - start, "instances": daft.stats(client)["objects"]}
        return pages, took | {"row_calls": 0, "batch_calls": 0, "starts": server.requests - before}

    for way in (row_by_row, automatic, by_hand):
        pages, took = asyncio.run(run(way))
        made.append(pages)
        ways.append(took)
    told = ""
    try:
        pipeline.map({"url": urls[:1], "client": APIClient("wrong")}, map_over="url")
    except PermissionError as error:
        told = str(error)
    if not options.json:
        print(f"with a wrong token: {told or 'NOT REFUSED'}")
    same = made[0] == made[1] == made[2] and "401" in told
    return report("03_fetch", options, ways, same, digest(made[1]))


if __name__ == "__main__":
    sys.exit(main())
