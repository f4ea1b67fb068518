"""Speak to the API server in plain JSON: typed models cost more than all else the player does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

AGAIN_S = 0.2
STRATEGIC = "application/strategic-merge-patch+json"
LOST = (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError)
TRY_AGAIN = {429, 500, 502, 503, 504}


class Refused(Exception):
    """The API server said no; `status` is its code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:300]}")
        self.status = status


class RawApi:
    """One connection pool to one API server; waits while the server is away."""

    def __init__(self, server: str, *, context: Any) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        connector = aiohttp.TCPConnector(limit=50, ssl=context)
        self._http = aiohttp.ClientSession(server, connector=connector, timeout=timeout)

    async def __aenter__(self) -> RawApi:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.close()

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Read one object or list."""
        return await self._ask("GET", path, params=parameters)

    async def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change one object by a strategic merge."""
        return await self._ask(
            "PATCH", path, data=json.dumps(body), headers={"Content-Type": STRATEGIC}
        )

    async def follow(self, path: str, **selector: str) -> AsyncIterator[tuple[str, Any]]:
        """Yield ("LISTED", objects), then each change as (type, object), for ever.

        Whatever ends a watch (a restart, 410) is answered by listing anew.
        """
        while True:
            page = await self.get(path, **selector)
            yield "LISTED", page["items"]
            version = page["metadata"]["resourceVersion"]
            try:
                async for event in self._watch(path, {**selector, "resourceVersion": version}):
                    if event["type"] == "ERROR":
                        break
                    yield event["type"], event["object"]
            except LOST:
                await asyncio.sleep(AGAIN_S)

    async def _watch(self, path: str, selector: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        async with self._http.get(path, params={**selector, "watch": "1"}) as response:
            if response.status != 200:
                return
            rest = b""
            async for chunk in response.content.iter_any():  # no limit to a line's length
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)

    async def _ask(self, method: str, path: str, **words: Any) -> dict[str, Any]:
        while True:
            try:
                async with self._http.request(method, path, **words) as response:
                    if response.status < 300:
                        answer: dict[str, Any] = await response.json()
                        return answer
                    if response.status not in TRY_AGAIN:
                        raise Refused(response.status, await response.text())
            except LOST:
                pass
            await asyncio.sleep(AGAIN_S)
