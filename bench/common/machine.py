"""The machine that measures, and who else uses it meanwhile."""
import dataclasses
import os
import pathlib
import platform
import subprocess
import time

# Instruction sets that matter to these kernels, as Linux names them.
ISA_FLAGS = ["avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8",
             "asimd", "asimddp", "i8mm", "bf16", "sve"]


def cpu_info() -> dict[str, str]:
    """The first processor's fields in /proc/cpuinfo; empty on other systems."""
    path = pathlib.Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    lines = path.read_text().split("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def sysctl(name: str) -> str:
    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""


def gpus() -> list[str]:
    """Names of NVIDIA's, if any."""
    try:
        listed = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    except FileNotFoundError:
        return []
    return listed.stdout.strip().splitlines() if listed.returncode == 0 else []


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict:
    info = cpu_info()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    model = info.get("model name") or sysctl("machdep.cpu.brand_string") or platform.processor()
    if info.get("cpu family"):
        model += f" (family {info['cpu family']}, model {info['model']})"
    return {"cpu": model, "cores": usable_cores(), "gpus": gpus(), "isa": [flag for flag in ISA_FLAGS if flag in flags],
            "system": f"{platform.system()} {platform.machine()}",
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


@dataclasses.dataclass
class Usage:
    """Processor seconds since the start of the machine: used by anyone, and taken by the hypervisor's other guests."""

    busy: float
    stolen: float

    @staticmethod
    def now() -> "Usage":
        path = pathlib.Path("/proc/stat")
        if not path.is_file():
            return Usage(0, 0)
        user, nice, system, _, _, irq, soft, steal = map(int, path.read_text().splitlines()[0].split()[1:9])
        ticks = os.sysconf("SC_CLK_TCK")
        return Usage((user + nice + system + irq + soft) / ticks, steal / ticks)
