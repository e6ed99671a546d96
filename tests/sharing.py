"""What docs/sharing.md tells people to do, done in a project of the tests."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from imports import ROOT
from projects import ALL, Project
from remotes import Remote

PAGE = (ROOT / "docs/sharing.md").read_text()
MODEL = "models/model.keras"

DAMAGE = """
import sys
from dvc.repo import Repo

store = Repo().cloud.get_remote_odb("team")
path = store.oid_to_path(sys.argv[1])
data = bytearray(store.fs.cat_file(path))
data[len(data) // 2] ^= 1
store.fs.rm_file(path)
store.fs.pipe_file(path, bytes(data))
"""


def read_commands(title: str, stand_ins: Mapping[str, str], number: int = 0) -> list[list[str]]:
    """Return the commands of a section's console block, with values for its examples."""
    section = re.search(rf"^#+ {title}\n(.*?)(^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section, title
    text = re.findall(r"```console\n(.*?)```", section[1], re.DOTALL)[number]
    for example, value in stand_ins.items():
        assert example in text
        text = text.replace(example, value)
    lines = re.findall(r"^\$ (.*)", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def follow(
    project: Project, title: str, stand_ins: Mapping[str, str], number: int = 0, *options: str
) -> None:
    """Run the commands of a section's block in a project."""
    for command in read_commands(title, stand_ins, number):
        project.call(*command, *options)


def damage(project: Project, oid: str) -> None:
    """Change one byte of an object in the project's remote."""
    project.call("python", "-c", DAMAGE, oid)


def configure(project: Project, remote: Remote, *, once: bool = False) -> None:
    """Run the page's commands: what Git keeps `once`, what is a person's own in every clone."""
    for command in read_commands(remote.section, remote.stand_ins):
        own = "--local" in command
        if (once and not own) or (own and not (once and remote.read_only)):
            project.call(*command)


def output_oid(project: Project, path: str) -> str:
    """Return the name of the object that an output of the pipeline is."""
    outs = [out for stage in ALL for out in project.list_outs(stage)]
    (oid,) = (out["md5"] for out in outs if out["path"] == path)
    return oid


def cache_path(project: Project, oid: str) -> Path:
    return project.folder / ".dvc/cache/files/md5" / oid[:2] / oid[2:]


def write_in_place(path: Path) -> None:
    """Change one byte of a file that is made to be read only, without making a new file."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.chmod(0o444)
