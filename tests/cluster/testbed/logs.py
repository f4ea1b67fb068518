"""Answer `kubectl logs` for pods on fake nodes, as a kubelet's server does."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

POLL_S = 0.1
CHUNK = 1 << 16
Running = Callable[[str], bool]  # tells whether the container of a pod's folder still writes


class Logs:
    """The logs of the pods whose folders, NAMESPACE_POD_UID, lie in `pods`."""

    def __init__(self, pods: Path, *, running: Running) -> None:
        self._pods = pods
        self._running = running

    async def serve(self, host: str, *, port: int, context: ssl.SSLContext) -> None:
        """Serve until cancelled."""
        site = web.Application()
        site.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._answer)
        runner = web.AppRunner(site, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=context).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        place = request.match_info
        folders = list(self._pods.glob(f"{place['namespace']}_{place['pod']}_*"))
        if not folders:
            raise web.HTTPNotFound(text="the container has not started")
        folder = max(folders, key=lambda each: each.stat().st_mtime)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        tail = request.query.get("tailLines")
        with (folder / "log").open("rb") as log:
            if tail is not None:
                kept = log.readlines()[-int(tail) :] if int(tail) else []
                log.seek(0, 2)
                await response.write(b"".join(kept))
            while True:
                last = request.query.get("follow") != "true" or not self._running(folder.name)
                while chunk := log.read(CHUNK):  # also what came before it was seen to have ended
                    await response.write(chunk)
                if last:
                    break
                await asyncio.sleep(POLL_S)
        await response.write_eof()
        return response


def kubelet_context(certificate: str, key: str, *, ca: str) -> ssl.SSLContext:
    """Trust the API server alone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    return context
