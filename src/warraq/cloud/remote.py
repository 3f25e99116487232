"""A DVC remote of whatever kind as a place for files beside DVC's own."""

import tempfile
from pathlib import Path
from typing import Any

from warraq.errors import InputError

OURS = "warraq"
"""The folder on a remote for what is not DVC's."""


class RemoteFolder:
    """Files by their path below a remote's address. Each is put whole or not at all."""

    def __init__(self, filesystem: Any, path: str) -> None:
        """`filesystem`: DVC's own of the remote; `path`: the address as it has it."""
        self._filesystem = filesystem
        self._path = path

    @classmethod
    def of_url(cls, url: str) -> "RemoteFolder":
        """The folder at a URL, as `dvc remote add` takes it.

        Raises:
            InputError: DVC cannot reach such a place.
        """
        from dvc.exceptions import DvcException
        from dvc.fs import parse_external_url

        try:
            return cls(*parse_external_url(url))
        except DvcException as error:
            raise InputError(f"{url} is no remote that can be reached: {error}.") from None

    @classmethod
    def of_project(cls, root: Path) -> "RemoteFolder":
        """The default remote of a checkout.

        Raises:
            InputError: it has none.
        """
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        with Repo(str(root)) as repo:
            try:
                remote = repo.cloud.get_remote()
            except DvcException as error:
                raise InputError(f"the project's DVC remote cannot be used: {str(error).splitlines()[0]}.") from None
            return cls(remote.fs, remote.path)

    def _join(self, name: str) -> str:
        joined: str = self._filesystem.join(self._path, *name.split("/"))
        return joined

    def list_files(self, folder: str = "") -> list[str]:
        """All files below a folder, by their path below the address."""
        start = self._join(folder) if folder else self._path
        if not self._filesystem.exists(start):
            return []
        found = (self._filesystem.relparts(path, self._path) for path in self._filesystem.find(start))
        return sorted("/".join(parts) for parts in found)

    def put(self, name: str, source: Path) -> None:
        """Copy a file there."""
        place = self._join(name)
        self._filesystem.makedirs(self._filesystem.parent(place), exist_ok=True)
        self._filesystem.put_file(str(source), place)

    def get(self, name: str, target: Path) -> bool:
        """Copy a file from there; False where there is none."""
        if not self._filesystem.exists(self._join(name)):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        self._filesystem.get_file(self._join(name), str(target))
        return True

    def write(self, name: str, content: bytes) -> None:
        """Put bytes as a file."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "content"
            source.write_bytes(content)
            self.put(name, source)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, None where there is none."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "content"
            return target.read_bytes() if self.get(name, target) else None

    def remove(self, names: list[str]) -> None:
        """Remove files."""
        for name in names:
            self._filesystem.rm_file(self._join(name))
