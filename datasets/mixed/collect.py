"""Benign files: from the packages installed on this machine, and from a dozen packages of registries.

Files are read, never run. Links and devices are not followed, and of the machine only what everybody may read is taken.
Members of downloaded packages are read in memory; nothing is unpacked to the disk.
"""

import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

# What installed packages own by convention; `/usr/local` is not theirs.
ROOTS = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/share", "/usr/include", "/usr/games"]

# Wheels only: pip runs the code of a source package just to learn its name.
WHEEL = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
WINDOWS = ["--platform", "win_amd64", "--python-version", "3.11"]
MACOS = ["--platform", "macosx_11_0_arm64", "--python-version", "3.11"]
PACKAGES = [
    ("pip", "setuptools==75.6.0", []),  # launchers for Windows: .exe
    ("pip", "distlib==0.3.9", []),  # launchers for Windows: .exe
    ("pip", "pywin32==308", WINDOWS),  # .dll, .pyd, .exe
    ("pip", "matplotlib==3.9.2", WINDOWS),  # .pyd, PDF, PNG, SVG, fonts
    ("pip", "pillow==11.0.0", MACOS),  # Mach-O
    ("pip", "python-pptx==1.0.2", []),  # OOXML
    ("npm", "lodash@4.17.21", []),
    ("npm", "bootstrap@5.3.3", []),
    ("apt", "bash-doc", []),  # PDF, HTML, PostScript
    ("apt", "php-twig", []),
    ("apt", "syslinux-efi", []),  # EFI programs are PE files
]

# How many of a type are taken in each turn: what scanners are for comes first.
WEIGHTS = {"elf": 4, "pe32": 4, "pe64": 4, "py": 2, "sh": 2, "js": 2, "php": 2, "pl": 2, "html": 2, "pdf": 2, "jar": 2, "gzip": 2}

# Suffixes of texts that are types, and others that stand for one of them.
TEXTS = set("bat c css csv html ini js json lua php pl ps1 py rb sh sql svg tcl ts txt vim xml yaml".split())
ALIASES = {
    "cfg": "ini", "cjs": "js", "cmd": "bat", "conf": "ini", "h": "c", "htm": "html", "md": "txt", "mjs": "js", "pm": "pl",
    "rst": "txt", "service": "ini", "yml": "yaml",
}  # fmt: skip
MAGICS = [
    (b"\x7fELF", "elf"), (b"%PDF-", "pdf"), (b"\x1f\x8b\x08", "gzip"), (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"), (b"\xcf\xfa\xed\xfe", "macho"), (b"\xce\xfa\xed\xfe", "macho"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"\0\1\0\0\0", "font"), (b"OTTO", "font"), (b"wOF", "font"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"%!PS", "ps"),
]  # fmt: skip
INTERPRETERS = [(b"python", "py"), (b"perl", "pl"), (b"node", "js"), (b"ruby", "rb"), (b"tclsh", "tcl"), (b"sh", "sh")]
OOXML = {"docx", "xlsx", "pptx", "dotx", "potx"}
HEAD = 1024


@dataclass(frozen=True)
class Candidate:
    """A file that could be taken; its group says what it came with."""

    name: str
    group: str
    file_type: str
    read: Callable[[], bytes]


def file_type(name, head):
    """The type of a file by its first bytes, then by its name; None for what nobody would scan."""
    suffix = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    if head.startswith(b"MZ"):
        at = int.from_bytes(head[60:64], "little")
        if head[at : at + 4] != b"PE\0\0":
            return None
        return "pe64" if head[at + 24 : at + 26] == b"\x0b\x02" else "pe32"
    if head.startswith(b"\xca\xfe\xba\xbe"):
        # A fat Mach-O has a few architectures where a Java class has its version.
        return "class" if int.from_bytes(head[4:8], "big") >= 45 else "macho"
    if head.startswith(b"PK\3\4"):
        return "jar" if suffix == "jar" else "ooxml" if suffix in OOXML else "zip"
    if head.startswith(b"!<arch>\n"):
        return "deb" if suffix == "deb" else None
    for magic, known in MAGICS:
        if head.startswith(magic):
            return known
    if b"\0" in head:
        return None
    if head.startswith(b"#!"):
        line = head.split(b"\n", 1)[0]
        return next((known for word, known in INTERPRETERS if word in line), None)
    suffix = ALIASES.get(suffix, suffix)
    return suffix if suffix in TEXTS else None


def installed(max_size):
    """Candidates on this machine, sorted."""
    found, folders = [], [root for root in ROOTS if os.path.isdir(root) and not os.path.islink(root)]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                found.append(entry)
    found.sort(key=lambda entry: entry.path)
    for entry in found:
        try:
            status = entry.stat(follow_symlinks=False)
            if not 16 <= status.st_size <= max_size or not status.st_mode & stat.S_IROTH:
                continue
            with open(entry.path, "rb") as file:
                known = file_type(entry.name, file.read(HEAD))
        except OSError:
            continue
        if known and entry.path.isprintable():
            group = "/".join(entry.path.split("/")[:5])
            yield Candidate(entry.path, group, known, Path(entry.path).read_bytes)


def fetch(cache, say):
    """Downloads the packages that `cache` does not have yet. One that cannot be had is said and left out."""
    pip = [sys.executable, "-m", "pip", *WHEEL]
    for registry, package, options in PACKAGES:
        folder = cache / f"{registry}-{package.replace('==', '-').replace('@', '-')}"
        if folder.is_dir():
            continue
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".partial-") as partial:
            command = {
                "pip": [*pip, *options, "--dest", partial, package],
                "npm": ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", partial, package],
                "apt": ["apt-get", "download", "-qq", package],
            }[registry]
            try:
                done = subprocess.run(command, cwd=partial, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
                problem = None if done.returncode == 0 else (done.stderr.strip() or "no reason given").splitlines()[-1]
            except FileNotFoundError:
                problem = f"`{command[0]}` is not installed"
            except subprocess.TimeoutExpired:
                problem = "no answer within 5 minutes"
            if problem is None and not any(entry.is_file() for entry in os.scandir(partial)):
                problem = "nothing was downloaded"
            if problem:
                say(f"left out {package} ({registry}): {problem}")
            else:
                say(f"downloaded {package} ({registry})")
                shutil.copytree(partial, folder)


def downloaded(cache, max_size, say):
    """Candidates of the cached packages, sorted: the packages themselves, and what is in them."""
    for package in sorted(cache.glob("[!.]*/*")):
        try:
            members = sorted(unpacked(package, max_size))
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, subprocess.SubprocessError) as problem:
            say(f"left out {package.name}: {problem}; delete {package.parent} to download it again")
            continue
        if package.stat().st_size <= max_size:
            members.append((package.name, package.read_bytes()))
        for name, content in members:
            known = file_type(name, content[:HEAD])
            if known and len(content) >= 16:
                group = f"{package.parent.name}/{os.path.dirname(name)}"
                yield Candidate(f"{package.parent.name}/{name}", group, known, lambda content=content: content)


def unpacked(package, max_size):
    """The regular files of a package, as (name, content)."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and entry.file_size <= max_size:
                    yield entry.filename, archive.read(entry)
        return
    if package.suffix == ".deb":
        deb = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        archive = tarfile.open(fileobj=deb.stdout, mode="r|")
    else:
        deb, archive = None, tarfile.open(package, mode="r:gz")
    with archive:
        for entry in archive:
            if entry.isreg() and entry.size <= max_size:
                yield entry.name, archive.extractfile(entry).read()
    if deb:
        deb.stdout.close()
        deb.wait()


def in_turns(candidates, seed):
    """All candidates in an order in which any beginning is balanced: over types, and within a type over groups."""
    by_type = {}
    for candidate in candidates:
        by_type.setdefault(candidate.file_type, {}).setdefault(candidate.group, []).append(candidate)
    queues = {}
    for known, groups in sorted(by_type.items()):
        rng = random.Random(f"{seed}/order/{known}")
        ranked = []
        for group in sorted(groups):
            rng.shuffle(groups[group])
            ranked += [(turn, rng.random(), candidate) for turn, candidate in enumerate(groups[group])]
        ranked.sort(key=lambda entry: entry[:2])
        queues[known] = iter([candidate for _, _, candidate in ranked])
    while queues:
        for known, queue in list(queues.items()):
            for _ in range(WEIGHTS.get(known, 1)):
                candidate = next(queue, None)
                if candidate is None:
                    del queues[known]
                    break
                yield candidate
