#!/usr/bin/env python3
"""Assembles a corpus of thousands of real files that engines can really scan.

Benign files come from the packages installed on this machine and from eleven packages of PyPI, npm and Debian; the
malicious class is made here and harmless. Nothing that is collected is run. The same machine, packages and options give
the same corpus.
"""

import argparse
import csv
import hashlib
import random
import shutil
import sys
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("error: this needs Python 3.11 or later")
sys.dont_write_bytecode = True

from collect import downloaded, fetch, in_turns, installed
from dummies import CARRIER_LIMIT, EICAR, FIRST_DAYS, GTUBE, MARKER, look_alikes, malicious

HERE = Path(__file__).resolve().parent
YEAR_BEGINS = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAYS = 365
MANIFEST = """\
schema = 1
name = "mixed"
title = "Files of installed packages among harmless test files and marked dummies"
source = "assembled by datasets/mixed/assemble.py"
table = "corpus.csv"
"""
COLUMNS = ["sha256", "label", "path", "file_type", "size", "family", "first_seen"]


class Corpus:
    """The files of a corpus and their lines in its table, as they come in; each content once."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = {}
        self.counts = Counter()
        self.carriers = {}

    def add(self, file_type, family, content):
        """False if it is there already."""
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 in self.rows:
            return False
        path = f"{file_type}/{sha256[:16]}"
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        label = "malicious" if family else "benign"
        self.counts[label] += 1
        self.rows[sha256] = {
            "sha256": sha256,
            "label": label,
            "path": f"files/{path}",
            "file_type": file_type,
            "size": len(content),
            "family": family,
        }
        return True

    def add_benign(self, candidate):
        """False if it cannot be read, is there already, or is a test file for scanners itself."""
        try:
            content = candidate.read()
        except OSError:
            return False
        if any(mark in content for mark in (EICAR, GTUBE, MARKER)) or not self.add(candidate.file_type, "", content):
            return False
        if len(content) <= CARRIER_LIMIT:
            self.carriers.setdefault(candidate.file_type, []).append((candidate.read, len(content)))
        return True

    def carrier(self, rng, file_type, limit):
        """The content of a benign file of this type and at most this size; None if there is none."""
        fitting = [read for read, size in self.carriers.get(file_type, []) if size <= limit]
        return rng.choice(fitting)() if fitting else None


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", metavar="DEST", type=Path, help="folder of the corpus; one assembled before is replaced")
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--files", **number, default=3000, help="benign files (default: %(default)s)")
    parser.add_argument("--malicious", **number, default=600, help="harmless files of the malicious class (default: %(default)s)")
    parser.add_argument("--max-size", **number, default=1 << 20, help="largest file that is collected, in bytes (default: %(default)s)")
    parser.add_argument("--seed", **number, default=0, help="seed of every choice (default: %(default)s)")
    parser.add_argument("--offline", action="store_true", help="download nothing; packages downloaded before are used")
    given = parser.parse_args()
    given.dest = given.dest.resolve()
    for name, least in [("files", 100), ("malicious", 20), ("max_size", 1024)]:
        if getattr(given, name) < least:
            parser.error(f"--{name.replace('_', '-')} is {getattr(given, name)}, but must be at least {least}")
    return given


def check_destination(folder):
    """Refuses a folder with anything in it that is not ours: it will be replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        sys.exit(f"error: {folder} is not a folder")
    entries = {entry.name for entry in folder.iterdir()}
    manifest = folder / "manifest.toml"
    ours = manifest.is_file() and manifest.read_text(errors="replace") == MANIFEST
    if not ours and entries - {".packages", "files.partial"}:
        sys.exit(f"error: {folder} has other things in it; name a new folder, or one that this script has written")


def say(message):
    print(message, file=sys.stderr, flush=True)


def assemble(given, partial):
    corpus = Corpus(partial)
    cache = given.dest / ".packages"
    if not given.offline:
        fetch(cache, say)
    say("looking for benign files")
    candidates = [*installed(given.max_size), *downloaded(cache, given.max_size, say)]
    say(f"{len(candidates)} candidates")

    made = given.files // 8
    wanted = given.files - made
    for candidate in in_turns(candidates, given.seed):
        if len(corpus.rows) == wanted:
            break
        if corpus.add_benign(candidate) and len(corpus.rows) % 500 == 0:
            say(f"{len(corpus.rows)} of {wanted} collected")
    if len(corpus.rows) < wanted:
        if len(corpus.rows) < 100:
            sys.exit(f"error: only {len(corpus.rows)} benign files were found; install some packages, or leave out --offline")
        say(f"only {len(corpus.rows)} of {wanted} benign files were found")

    say("making the others")
    rules = [path.read_bytes() for path in sorted((HERE / "engine" / "rules").glob("*.yar"))]
    for label, count, files in [
        ("malicious", given.malicious, malicious(given.seed, corpus.carrier)),
        ("benign", made, look_alikes(given.seed, corpus.carrier, rules)),
    ]:
        goal = corpus.counts[label] + count
        # A few come out the same by chance; the next ones take their places.
        while corpus.counts[label] < goal:
            file = next(files)
            corpus.add(file.file_type, file.family, file.content)
    return corpus


def dated(rows, seed):
    """The rows in order of when they were first seen: over a year, each family from its first day on."""
    for row in rows:
        first = FIRST_DAYS.get(row["family"], 0)
        seconds = random.Random(f"{seed}/first-seen/{row['sha256']}").randrange(first * 86_400, DAYS * 86_400)
        row["first_seen"] = (YEAR_BEGINS + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return sorted(rows, key=lambda row: (row["first_seen"], row["sha256"]))


def write_engine(folder, rows, seed):
    """The engine beside the corpus, with what it knows beforehand: a third of the malicious files, a fifth of the benign."""
    shutil.copytree(HERE / "engine", folder, dirs_exist_ok=True)
    for name, label, share in [("known-bad.txt", "malicious", 3), ("known-good.txt", "benign", 5)]:
        known = sorted(f"{row['sha256']} {row['family'] or row['file_type']}\n" for row in rows if row["label"] == label)
        known = random.Random(f"{seed}/{name}").sample(known, len(known) // share)
        (folder / name).write_text("".join(sorted(known)))


def report(rows):
    """Counts by file type and by family, on stdout."""
    counts, sizes = Counter((row["file_type"], row["label"]) for row in rows), Counter()
    for row in rows:
        sizes[row["file_type"]] += row["size"]
    print(f"{'file type':<12} {'benign':>7} {'malicious':>10} {'KiB':>9}")
    for name, size in sorted(sizes.items()):
        print(f"{name:<12} {counts[name, 'benign']:>7} {counts[name, 'malicious']:>10} {size / 1024:>9.0f}")
    totals = [sum(row["label"] == label for row in rows) for label in ("benign", "malicious")]
    print(f"{'all':<12} {totals[0]:>7} {totals[1]:>10} {sum(sizes.values()) / 1024:>9.0f}\n")
    for family, count in sorted(Counter(row["family"] for row in rows if row["family"]).items()):
        print(f"{family:<16} {count:>5}")


def main():
    given, began = arguments(), time.monotonic()
    check_destination(given.dest)
    partial = given.dest / "files.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        rows = dated(list(assemble(given, partial).rows.values()), given.seed)
        # The manifest first: whatever happens from here on, the next run knows the folder for one of its own.
        (given.dest / "manifest.toml").write_text(MANIFEST)
        shutil.rmtree(given.dest / "files", ignore_errors=True)
        partial.rename(given.dest / "files")
        with open(given.dest / "corpus.csv", "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        write_engine(given.dest / "engine", rows, given.seed)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    report(rows)
    say(f"written to {given.dest} in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as problem:
        sys.exit(f"error: {problem}")
