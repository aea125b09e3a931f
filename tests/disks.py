"""Small disks to fill: file systems in memory, mounted where this machine lets whoever tests mount one."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSING_DISK = "nobody may mount a file system here"
SIZE = "640m"


@dataclass(frozen=True)
class Disk:
    """A disk of its own under a folder."""

    folder: Path

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte free; what is there can still be changed in its place, and removed."""
        ballast = self.folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                for size in (2**20, 2**12):
                    with suppress(OSError):
                        while True:
                            file.write(bytes(size))
            yield
        finally:
            ballast.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk | None]:
    """Mount a small disk on an empty folder, and take it away in the end; None where that is not allowed."""
    if not _mounted(folder):
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def _mounted(folder: Path) -> bool:
    if os.geteuid() != 0:
        return False
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "loyalty-test", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        return True
    return False
