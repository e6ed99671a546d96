"""Say on what machine and with which versions the other benchmarks run, and how busy it is."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from benchmarks.timing import print_table

CPUINFO_PATH = Path("/proc/cpuinfo")
# What the arithmetic of a network can make use of, beyond what every x86-64 has.
VECTOR_FLAG = re.compile(r"avx2|avx512f|avx512_bf16|avx512_vnni|amx_\w+|asimd|sve\d?|bf16")
PACKAGES = ("tensorflow", "keras", "numpy", "dvc")


def describe_processor() -> str:
    """Name the processor and its vector instructions, where the system tells (Linux)."""
    if not CPUINFO_PATH.exists():
        return platform.processor() or platform.machine()
    text = CPUINFO_PATH.read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.+)", text)
    flags = re.search(r"(?:flags|Features)\s*: (.+)", text)
    vectors = [flag for flag in (flags[1].split() if flags else []) if VECTOR_FLAG.fullmatch(flag)]
    return f"{model[1] if model else platform.machine()} ({', '.join(vectors) or 'no vectors'})"


def main() -> None:
    loads = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    rows = [
        ("processor", describe_processor()),
        ("cores", os.cpu_count()),
        ("system", f"{platform.system()}, Python {platform.python_version()}"),
        ("versions", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        ("load before the start, over 1, 5 and 15 minutes", loads),
    ]
    print_table("Machine", ("", ""), rows)


if __name__ == "__main__":
    main()
