#!/usr/bin/env python3
"""A scanner: one file in, one verdict out. Put yours in its place, in whatever language.

It is started once for every artifact, with the path of a private copy as its last argument, and prints one JSON object:

    {"malicious": true, "confidence": 0.9, "family": "Some.Family"}

`malicious` is true, false, or null for "no answer". Anything else it prints, a non-zero exit, or too much time is no
answer either, and is counted.
"""

import json
import sys

WORDS = [b"eval(", b"powershell -enc", b"EICAR-STANDARD", b"GTUBE-STANDARD"]


def scan(content):
    found = [word for word in WORDS if word in content]
    return {"malicious": bool(found), "confidence": 0.9 if found else 0.6}


if __name__ == "__main__":
    with open(sys.argv[-1], "rb") as artifact:
        print(json.dumps(scan(artifact.read())))
