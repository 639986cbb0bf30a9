"""The connection to the Docker daemon: every call in a thread, bounded in time, its errors translated."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import docker
import docker.constants
import docker.errors
import docker.utils
import requests
import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import DOCKER_CALL_TIMEOUT_S

T = TypeVar("T")

END_ATTEMPTS_MAX = 6
END_RETRY_S = 1.0


class Missing(EnvironmentFailure):
    """Docker does not know that container, image or network."""

    def __init__(self, what: str) -> None:
        super().__init__("docker_missing", what, retryable=False)


class Daemon:
    """Docker's API. ``base_url`` None means what ``DOCKER_HOST`` says, or the platform's usual socket."""

    def __init__(self, base_url: str | None = None) -> None:
        self._base_url = base_url
        self._client: docker.APIClient | None = None
        self._lock = threading.Lock()
        self._threads = trio.CapacityLimiter(16)

    def client(self) -> docker.APIClient:
        """The client, connected on first use. Blocking.

        :raises docker.errors.DockerException: nothing answers.
        """
        with self._lock:
            if self._client is None:
                timeout = int(DOCKER_CALL_TIMEOUT_S)
                if self._base_url is None:
                    options: dict[str, Any] = {**docker.utils.kwargs_from_env()}
                else:
                    options = {"base_url": self._base_url}
                _probe(str(options.get("base_url") or docker.constants.DEFAULT_UNIX_SOCKET))
                self._client = docker.APIClient(version="auto", timeout=timeout, **options)
            return self._client

    async def call(
        self,
        what: str,
        function: Callable[[docker.APIClient], T],
        *,
        timeout_s: float = DOCKER_CALL_TIMEOUT_S,
    ) -> T:
        """``function(client)`` in a worker thread. ``what`` names it in errors.

        :raises Missing: Docker does not know the object.
        :raises EnvironmentFailure: ``docker_unreachable``, ``docker_refused`` or ``docker_slow``.
        """

        def work() -> T:
            return translated(what, lambda: function(self.client()))

        try:
            with trio.fail_after(timeout_s):
                return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        except trio.TooSlowError:
            raise EnvironmentFailure(
                "docker_slow",
                f"Docker did not finish within {timeout_s:.0f} s: {what}.",
                hint="`docker ps` shows whether the daemon still answers.",
            ) from None

    async def end(self, what: str, function: Callable[[docker.APIClient], None], *, timeout_s: float) -> None:
        """A call that kills a container, repeated while Docker says it has not died yet.

        Killing a fork bomb takes a while: each of its processes needs a share of the little CPU it has.

        :raises Missing: the container is gone.
        :raises EnvironmentFailure: it still lives after ``END_ATTEMPTS_MAX`` attempts.
        """
        for attempt in range(1, END_ATTEMPTS_MAX + 1):
            try:
                await self.call(what, function, timeout_s=timeout_s)
            except EnvironmentFailure as failure:
                if failure.code not in ("docker_refused", "docker_slow") or attempt == END_ATTEMPTS_MAX:
                    raise
                await trio.sleep(END_RETRY_S)
            else:
                return

    def close(self) -> None:
        """Close the connections that are open."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def _probe(base_url: str) -> None:
    """Try a Unix socket first: when nothing answers, docker-py leaves its own socket open.

    :raises docker.errors.DockerException: nothing answers.
    """
    scheme, _, path = base_url.partition("://")
    if not scheme.endswith("unix"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(DOCKER_CALL_TIMEOUT_S)
        try:
            probe.connect("/" + path.lstrip("/"))
        except OSError as error:
            raise docker.errors.DockerException(f"{path}: {error.strerror}") from None


def translated(what: str, function: Callable[[], T]) -> T:
    """``function()`` with Docker's and the transport's errors as ours."""
    try:
        return function()
    except docker.errors.NotFound as error:
        raise Missing(f"Docker could not {what}: {_detail(error)}") from None
    except docker.errors.APIError as error:
        raise EnvironmentFailure("docker_refused", f"Docker could not {what}: {_detail(error)}") from None
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EnvironmentFailure(
            "docker_unreachable",
            f"The Docker daemon does not answer ({type(error).__name__}).",
            "No job can run on this machine until it does.",
            "Start it (`sudo systemctl start docker`), and let this user speak to it.",
        ) from None


def _detail(error: docker.errors.APIError) -> str:
    return str(error.explanation or error)[:400]
