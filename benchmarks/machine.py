"""Print on what machine and with which versions the other benchmarks run, and how busy it is."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from benchmarks.timing import print_table

CPUINFO_PATH = Path("/proc/cpuinfo")  # Linux
# Vector instructions that not every processor has, and a network's arithmetic can use.
VECTORS = re.compile(r"\b(?:avx2|avx512f|avx512_bf16|amx_bf16|asimd|bf16)\b")
PACKAGES = ("tensorflow", "keras", "numpy", "dvc")


def describe_processor() -> str:
    """Name the processor and its vector instructions, as far as the system tells."""
    if not CPUINFO_PATH.exists():
        return platform.processor() or platform.machine()
    text = CPUINFO_PATH.read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.+)", text)
    name = model[1] if model else platform.machine()
    return ", ".join([name, *sorted({*VECTORS.findall(text)})])


def main() -> None:
    rows = [
        ("processor", describe_processor()),
        ("cores", os.cpu_count()),
        ("system", f"{platform.system()}, Python {platform.python_version()}"),
        ("versions", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        ("load over 1, 5 and 15 minutes", ", ".join(f"{load:.2f}" for load in os.getloadavg())),
    ]
    print_table("Machine", ("", ""), rows)


if __name__ == "__main__":
    main()
