"""The folder of a study: finished blocks as files, and a manifest that says which they are.

A block is written under another name, brought to disk and renamed; then one line is appended to the manifest. So
whatever ends the program or fills the disk, a block is there whole or counts as not done. One process writes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pressopt.errors import StudyError
from pressopt.study.job import Job, digest_of_job, fingerprint

#: Names inside a study's folder.
HEAD, FINISHED, BLOCKS, LOCK = "study.json", "finished.jsonl", "blocks", ".lock"
SCHEMA = "pressopt/study/1"


class StudyFolder:
    """The finished blocks of one job; a context manager that holds the folder alone.

    Args:
        path: The folder; made when it is not there.
        job: The job whose blocks lie there.
        suffix: Ending of the files of blocks.

    Raises:
        StudyError: The folder belongs to another study, another process writes it, or it cannot be written.
    """

    def __init__(self, path: Path, job: Job, *, suffix: str = ".parquet") -> None:
        self.path = path
        self._suffix = suffix
        self._digits = max(4, len(str(len(job.sizes) - 1)))
        try:
            (path / BLOCKS).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unwritable(path, error, 0) from error
        self._finished: dict[int, str] = {}
        try:
            self._take_lock()
            self._check_head(job)
            self._finished = dict(self._read_finished(len(job.sizes)))
            for left in (path / BLOCKS).glob("*.part"):  # of a process that was killed while it wrote
                left.unlink()
        except OSError as error:
            os.close(self._lock)
            raise _unwritable(path, error, len(self._finished)) from error
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> StudyFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others write."""
        os.close(self._lock)

    @property
    def finished(self) -> Mapping[int, str]:
        """Finished blocks by number, each with the SHA-256 of its file."""
        return self._finished

    def add(self, index: int, data: bytes) -> None:
        """Keep a finished block; on return it is on disk.

        Raises:
            StudyError: The disk is full or the folder cannot be written; earlier blocks are untouched.
        """
        digest = hashlib.sha256(data).hexdigest()
        place = self._place(index)
        part = place.with_name(place.name + ".part")
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
            self._append({"block": index, "sha256": digest, "bytes": len(data)})
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _unwritable(self.path, error, len(self._finished)) from error
        self._finished[index] = digest

    def read(self) -> Iterator[tuple[int, bytes]]:
        """All finished blocks in order, each checked.

        Raises:
            StudyError: A file is not what was written.
        """
        for index in sorted(self._finished):
            place = self._place(index)
            try:
                data = place.read_bytes()
            except OSError as error:
                raise StudyError(f"{place} cannot be read: {error.strerror or error}") from error
            if hashlib.sha256(data).hexdigest() != self._finished[index]:
                raise StudyError(
                    f"{place} is not what was written: delete it and give the same command again, "
                    f"that block alone is computed anew"
                )
            yield index, data

    # ------------------------------------------------------------------ inside

    def _place(self, index: int) -> Path:
        return self.path / BLOCKS / f"{index:0{self._digits}d}{self._suffix}"

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StudyError(
                f"another process ({holder}) computes the study in {self.path}: wait for it, "
                f"or choose another folder with --out"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def _check_head(self, job: Job) -> None:
        head = self.path / HEAD
        digest = digest_of_job(job)
        if not head.exists():
            told = {
                "schema": SCHEMA,
                "kind": job.kind,
                "digest": digest,
                "unit": job.unit,
                "blocks": len(job.sizes),
                "units": sum(job.sizes),
                "software": fingerprint(),
                "identity": job.identity,
            }
            part = head.with_name(HEAD + ".part")
            part.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            part.replace(head)
            return
        try:
            there = json.loads(head.read_text(encoding="utf-8"))
            same = there["digest"] == digest
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{head} is not the head of a study: choose another folder with --out") from error
        if not same:
            raise StudyError(
                f"{self.path} holds another study ({_difference(there, job)}): choose another folder with --out, "
                f"or delete this one"
            )

    def _read_finished(self, blocks: int) -> Iterator[tuple[int, str]]:
        manifest = self.path / FINISHED
        if not manifest.exists():
            return
        data = manifest.read_bytes()
        whole, newline, torn = data.rpartition(b"\n")
        if torn:  # the last line of a process that was killed while it wrote
            os.truncate(manifest, len(whole) + len(newline))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                entry = json.loads(line)
                index, digest, size = int(entry["block"]), str(entry["sha256"]), int(entry["bytes"])
            except (ValueError, KeyError, TypeError) as error:
                raise StudyError(
                    f"{manifest}, line {number}, is damaged: delete the folder and begin anew"
                ) from error
            place = self._place(index)
            # A block whose file is gone or torn (a power cut before it reached the disk) is computed again.
            if 0 <= index < blocks and place.is_file() and place.stat().st_size == size:
                yield index, digest

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        manifest = os.open(self.path / FINISHED, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(manifest).st_size
            if os.write(manifest, line) != len(line):
                os.ftruncate(manifest, size)
                raise OSError(28, "No space left on device")
            os.fsync(manifest)
        finally:
            os.close(manifest)


def _difference(there: Mapping[str, Any], job: Job) -> str:
    """What makes a study in a folder another one than this."""
    if there.get("kind") != job.kind:
        return f"a {there.get('kind')}"
    if there.get("software") != fingerprint():
        return f"begun with other software: {there.get('software')}"
    old: Mapping[str, Any] = there.get("identity", {})
    # As JSON has it: a tuple and a list are the same there.
    new: Mapping[str, Any] = json.loads(json.dumps(job.identity))
    keys = [key for key in (*new, *(k for k in old if k not in new)) if old.get(key) != new.get(key)]
    return f"other {', '.join(key.replace('_', ' ') for key in keys)}" if keys else "cut into other blocks"


def _unwritable(path: Path, error: OSError, finished: int) -> StudyError:
    kept = f"; the {finished} finished blocks are kept" if finished else ""
    return StudyError(
        f"{path} cannot be written: {error.strerror or error}{kept}. Make room and give the same command again: "
        f"it goes on where it stopped"
    )
