"""Act as the kubelet of all fake nodes: run their pods' containers, and say how they ended."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import signal
import ssl
from pathlib import Path
from typing import Any

from testbed.container import (
    ConfigError,
    End,
    Pod,
    Sources,
    command,
    ended,
    environment,
    sources_named,
    waiting,
)
from testbed.life import Life, now
from testbed.logs import Logs, kubelet_context
from testbed.playing import COMMAND, CONTAINER_ID, KIND, LOST, PLAYS, Playing
from testbed.raw_api import RawApi, Refused

log = logging.getLogger(__name__)

FAKE_NODES = {"labelSelector": f"{KIND}=fake"}
RUNNING = {"fieldSelector": "status.phase=Running"}
CONFIG_AGAIN_S = 1.0
POWER_CUT = (255, "Unknown")  # what a node that comes back says of containers it no longer finds
NEVER_STARTED = (137, "ContainerStatusUnknown")
NOT_OURS_ANY_MORE = {404, 409, 422}


class Player:
    """One task for each pod that has a process; no thread but ours."""

    def __init__(self, api: RawApi, playing: Playing) -> None:
        self.api = api
        self.playing = playing
        self.lives: dict[str, Life] = {}  # by the pod's uid
        self.lost: dict[str, asyncio.Event] = {}  # by node; set when it is heard of again
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow_nodes(self) -> None:
        """Lose nodes and find them again, as their labels say."""
        async for kind, found in self.api.follow(
            "/api/v1/nodes", labelSelector="testbed/kind=fake"
        ):
            if kind == "LISTED":
                there = {node["metadata"]["name"] for node in found}
                for name in {life.node for life in self.lives.values()} - there:
                    self._remove_node(name)
                for node in found:
                    self._see_node(node)
            elif kind == "DELETED":
                self._remove_node(found["metadata"]["name"])
            elif kind != "BOOKMARK":
                self._see_node(found)

    async def follow_pods(self) -> None:
        """Follow the pods that run; one that no longer does is told of as deleted."""
        async for kind, found in self.api.follow(
            "/api/v1/pods", fieldSelector="status.phase=Running"
        ):
            if kind == "LISTED":
                running = {pod["metadata"]["uid"] for pod in found}
                for uid in self.lives.keys() - running:
                    self._forget(uid)
                for pod in found:
                    self._see(pod)
            elif kind == "DELETED":
                self._forget(found["metadata"]["uid"])
            elif kind != "BOOKMARK":
                self._see(found)

    def runs(self, folder: str) -> bool:
        """Tell whether the container of a pod's folder has not ended."""
        return any(life.folder.name == folder and not life.over for life in self.lives.values())

    def end(self) -> None:
        """Kill every process."""
        for life in self.lives.values():
            life.kill()

    def _see_node(self, node: dict[str, Any]) -> None:
        name, lost = node["metadata"]["name"], node["metadata"]["labels"].get(LOST)
        if lost and name not in self.lost:
            self.lost[name] = asyncio.Event()
        if lost == "off":
            for life in self._on(name):
                life.kill(POWER_CUT)
        if not lost and name in self.lost:
            self.lost.pop(name).set()
            for life in self._on(name):  # what it did not hear of meanwhile
                self._act(life)

    def _remove_node(self, name: str) -> None:
        for life in self._on(name):
            life.gone = True
            life.kill()
        if name in self.lost:
            self.lost.pop(name).set()

    def _on(self, node: str) -> list[Life]:
        return [life for life in self.lives.values() if life.node == node]

    def _see(self, pod: Pod) -> None:
        metadata, statuses = pod["metadata"], pod["status"].get("containerStatuses", ())
        ours = statuses and statuses[0].get("containerID", "").startswith(CONTAINER_ID)
        life = self.lives.get(metadata["uid"])
        if life is None:
            if ours and PLAYS not in metadata.get("annotations", {}):
                self._begin(pod)
        else:
            life.pod = pod
            if life.node not in self.lost:
                self._act(life)

    def _forget(self, uid: str) -> None:
        life = self.lives.get(uid)
        if life is None:
            return
        life.gone = True
        if life.over:
            del self.lives[uid]
        elif life.node not in self.lost:
            self._act(life)

    def _act(self, life: Life) -> None:
        if life.gone:
            life.kill()
        elif "deletionTimestamp" in life.pod["metadata"] and not life.asked:
            life.stop()

    def _begin(self, pod: Pod) -> None:
        metadata = pod["metadata"]
        name = f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
        life = Life(pod=pod, folder=Path(self.playing.folder) / name)
        self.lives[life.uid] = life
        task = asyncio.create_task(self._live(life), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("pod %s", task.get_name(), exc_info=task.exception())

    async def _live(self, life: Life) -> None:
        end = await self._lived(life)
        while life.node in self.lost:
            await self.lost[life.node].wait()
        if not life.gone:
            await self._tell(life, ended(life.pod, end=end))
        life.over = True  # kept until it is seen no more: news of it may be late
        if life.gone:
            self.lives.pop(life.uid, None)

    async def _lived(self, life: Life) -> End:
        variables = await self._variables(life)
        if variables is None:
            return End(*NEVER_STARTED, started=now(), finished=now())
        container = life.pod["spec"]["containers"][0]
        words = command(container, entrypoint=self.playing.entrypoint, variables=variables)
        played = life.pod["metadata"].get("annotations", {}).get(COMMAND)
        if played is not None:
            words = list(json.loads(played))
        deadline = life.pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None:
            asyncio.get_running_loop().call_later(deadline, self._too_late, life)
        return await life.run(words, env=variables)

    def _too_late(self, life: Life) -> None:
        if not life.asked and life.process is not None and life.process.returncode is None:
            life.pod_reason = "DeadlineExceeded"
            life.stop()

    async def _variables(self, life: Life) -> dict[str, str] | None:
        container = life.pod["spec"]["containers"][0]
        while not (life.asked or life.gone):
            sources = await self._sources(life)
            try:
                return environment(life.pod, container=container, sources=sources)
            except ConfigError as error:
                status = waiting(life.pod, reason="CreateContainerConfigError", message=str(error))
                await self._tell(life, status)
                await asyncio.sleep(CONFIG_AGAIN_S)
        return None

    async def _sources(self, life: Life) -> Sources:
        namespace = life.pod["metadata"]["namespace"]
        found: dict[tuple[str, str], dict[str, str]] = {}
        for kind, name in sources_named(life.pod["spec"]["containers"][0]):
            path = f"/api/v1/namespaces/{namespace}/{kind.lower()}s/{name}"
            try:
                data = (await self.api.get(path)).get("data", {})
            except Refused as refused:
                if refused.status != 404:
                    raise
                continue
            if kind == "Secret":
                data = {key: base64.b64decode(text).decode() for key, text in data.items()}
            found[kind, name] = data
        return found

    async def _tell(self, life: Life, status: dict[str, Any]) -> None:
        body = {"metadata": {"uid": life.uid}, "status": status}
        try:
            await self.api.patch(f"{life.path}/status", body)
        except Refused as refused:
            if refused.status not in NOT_OURS_ANY_MORE:
                raise


async def play(file: Path) -> None:
    """Play until told to end."""
    playing = Playing.load(file)
    context = ssl.create_default_context(cafile=playing.ca)
    context.load_cert_chain(playing.certificate, playing.key)
    loop = asyncio.get_running_loop()
    async with RawApi(playing.server, context=context) as api:
        player = Player(api, playing)
        logs = Logs(Path(playing.folder), running=player.runs)
        certified = kubelet_context(playing.certificate, playing.key, ca=playing.ca)
        whole = asyncio.gather(
            player.follow_nodes(),
            player.follow_pods(),
            logs.serve(playing.host, port=playing.port, context=certified),
        )
        loop.add_signal_handler(signal.SIGTERM, whole.cancel)
        try:
            await whole
        except asyncio.CancelledError:
            log.info("told to end")
        finally:
            player.end()
