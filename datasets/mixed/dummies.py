"""Files that are made: the malicious class, all of it harmless, and benign ones that look like it.

Malicious are the test strings that everybody knows, EICAR and GTUBE, and dummies: files that carry a marker of this corpus,
`POLYSWARM-DUMMY-` and a name, in one of six encodings of rising difficulty. The marker does nothing, and there is nothing
else in them but a benign file around it, made-up text, or random bytes. Look-alikes carry harmless words in the very same
encodings and wrappings, so that it takes the marker to tell them apart.
"""

import base64
import itertools
import random
from dataclasses import dataclass

from pack import tar_gz, zipped

# In two halves each, so that no scanner takes this file for the real thing.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
MARKER = b"POLYSWARM-DUMMY-"

EICAR_FAMILY = "EICAR-Test-File"
GTUBE_FAMILY = "GTUBE"
# Each with the day of the year on which it is seen first: what is learnt in spring does not know what comes in summer.
DUMMIES = {"Plain": 0, "Wide": 15, "Base64": 30, "Split": 60, "Hex": 90, "Xor": 120}
FIRST_DAYS = {EICAR_FAMILY: 0, GTUBE_FAMILY: 0} | {f"Dummy.{name}": day for name, day in DUMMIES.items()}

WORDS = (
    "river table window garden market paper winter letter harbour bridge morning engine copper violet number meadow signal pencil "
    "lantern orchard quarter ribbon saddle thunder valley wagon yellow basket candle distance evening feather granite hollow"
).split()
NAMES = "agenda backup draft export index invoice letter list memo notes order plan report sample setup summary".split()

# Documents that are made, comments that can be put into a text, and what takes anything behind its end.
DOCUMENTS = ["txt", "eml", "json", "html", "pdf"]
LINE_COMMENTS = {"py": b"# ", "sh": b"# ", "pl": b"# ", "rb": b"# ", "tcl": b"# ", "js": b"// ", "php": b"// ", "lua": b"-- ", "txt": b""}
COMMENTS = {
    "html": (b"\n<!-- ", b" -->\n"), "xml": (b"\n<!-- ", b" -->\n"), "svg": (b"\n<!-- ", b" -->\n"),
    "css": (b"\n/* ", b" */\n"), "c": (b"\n/* ", b" */\n"),
}  # fmt: skip
PROGRAMS = ["elf", "pe32", "pe64"]
BINARIES = [*PROGRAMS * 3, "macho", "png", "jpeg", "gif", "jar", "ooxml", "zip", "pdf", "class"]
CARRIERS = [*LINE_COMMENTS, *COMMENTS, *BINARIES]
# What a marked file is in, and how often; the rest is not in anything.
WRAPPINGS = {"zip": 10, "locked": 9, "sealed": 3, "tar.gz": 7, "zip in zip": 6, "three deep": 5, "": 60}
CARRIER_LIMIT = 256 << 10
LOCKED_LIMIT = 48 << 10


@dataclass(frozen=True)
class Made:
    """A file that was made; a family makes it malicious."""

    file_type: str
    family: str
    content: bytes


def malicious(seed, benign):
    """Marked files without end. `benign` gives a benign file of a type and a largest size."""
    rng = random.Random(f"{seed}/malicious")
    for number in itertools.count():
        # Of twenty, three are EICAR, two are GTUBE, and the rest are dummies in turn.
        place, turn = number % 20, number // 20 * 15 + number % 20
        if place < 15:
            name = list(DUMMIES)[turn % len(DUMMIES)]
            yield _marked(rng, benign, name, MARKER + name.upper().encode(), f"Dummy.{name}")
        elif place < 18:
            yield _eicar(rng, benign)
        else:
            yield _wrapped(rng, benign, "eml", GTUBE_FAMILY, _document(rng, "eml", GTUBE), rng.random() < 0.2)


def look_alikes(seed, benign, rules):
    """Benign files that are made, without end: archives, harmless text in every encoding, and talk about the rules."""
    rng = random.Random(f"{seed}/look-alikes")
    for number in itertools.count():
        if number % 12 == 0:
            yield _quote(rng, rules)
        elif number % 6 == 3:
            kind = rng.choice(DOCUMENTS)
            yield _wrapped(rng, benign, kind, "", _document(rng, kind, _sentence(rng).encode()), False)
        elif number % 2:
            text = "-".join(rng.sample(WORDS, 3)).upper().encode()
            yield _marked(rng, benign, rng.choice(list(DUMMIES)), text, "")
        else:
            kind = rng.choice(CARRIERS)
            content = benign(rng, kind, CARRIER_LIMIT)
            kind, content = (kind, content) if content else ("txt", _document(rng, "txt", b""))
            yield _wrapped(rng, benign, kind, "", content, True)


def _eicar(rng, benign):
    """The 68 bytes, and behind them what the test file's definition allows: white space, up to 128 bytes in all."""
    space = bytes(rng.choice(b" \t\r\n") for _ in range(rng.randrange(60)))
    content = EICAR + space + rng.choice([b"", b"\x1a"])
    shape = rng.random()
    if shape < 0.08:
        attached = b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(content)
        return Made("eml", EICAR_FAMILY, _document(rng, "eml", attached))
    return _wrapped(rng, benign, "txt", EICAR_FAMILY, content, shape < 0.5)


def _marked(rng, benign, name, text, family):
    """`text` in the encoding of that name, in a document or a copy of a benign file."""
    payload = ENCODINGS[name](rng, text)
    kind = rng.choice(BINARIES + ["pdf", "html"] if name in ("Wide", "Xor") else [*CARRIERS, *DOCUMENTS])
    carrier = None if kind == "eml" or rng.random() < 0.15 else benign(rng, kind, CARRIER_LIMIT)
    if carrier is None:
        kind = kind if kind in DOCUMENTS else "pdf" if kind in BINARIES else "txt"
        content = _document(rng, kind, payload)
    elif kind in LINE_COMMENTS:
        lines = carrier.splitlines(keepends=True)
        at = rng.randint(1, len(lines)) if lines else 0
        comment = b"".join(LINE_COMMENTS[kind] + line + b"\n" for line in payload.split(b"\n"))
        content = b"".join([*lines[:at], b"" if not at or lines[at - 1].endswith(b"\n") else b"\n", comment, *lines[at:]])
    elif kind in COMMENTS:
        content = carrier + payload.join(COMMENTS[kind])
    else:
        # Behind many a packed program there is a block of noise; behind a few harmless ones, too.
        noisy = rng.random() < (0.5 if family else 0.1)
        content = carrier + (rng.randbytes(rng.randrange(2 << 10, 32 << 10)) if noisy else b"") + payload
    return _wrapped(rng, benign, kind, family, content, False)


def _base64(rng, text):
    padded = rng.randbytes(rng.randrange(3, 30)) + text + rng.randbytes(rng.randrange(3, 30))
    encoded = base64.b64encode(padded)
    if rng.random() < 0.3:
        return b"\n".join(encoded[at : at + 40] for at in range(0, len(encoded), 40))
    return encoded


def _xor(rng, text):
    key = rng.randrange(1, 256)
    return bytes(byte ^ key for byte in text)


def _hex(rng, text):
    junk = 1 if rng.random() < 0.5 else 3
    return b"".join(b"%02x" % byte + bytes(rng.choice(b"-_ .:;zqx") for _ in range(rng.randint(1, junk))) for byte in text)


def _split(rng, text):
    """Two breaks: behind the dashes, or anywhere."""
    dashes = [at + 1 for at, byte in enumerate(text) if byte == ord("-")]
    cuts = dashes if rng.random() < 0.6 else sorted(rng.sample(range(2, len(text) - 2), 2))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)])]
    return b"\n".join(pieces)


ENCODINGS = {
    "Plain": lambda rng, text: text,
    "Wide": lambda rng, text: text.decode().encode("utf-16-le"),
    "Base64": _base64,
    "Split": _split,
    "Hex": _hex,
    "Xor": _xor,
}


def _sentence(rng):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(5, 14))).capitalize() + "."


def _document(rng, kind, payload):
    """A made document around `payload`."""
    before, after = (" ".join(_sentence(rng) for _ in range(rng.randint(1, 12))).encode() for _ in range(2))
    title = rng.choice(WORDS).encode()
    if kind == "eml":
        sender, receiver = (rng.choice(WORDS).encode() for _ in range(2))
        head = b"From: %b@example.org\nTo: %b@example.net\nSubject: %b\nMIME-Version: 1.0\n" % (sender, receiver, title)
        # What begins with a header of its own is the body; anything else stands in one.
        return head + (payload if payload.startswith(b"Content-") else b"\n%b\n\n%b\n\n%b\n" % (before, payload, after))
    if kind == "json":
        lines = b'",\n    "'.join(payload.split(b"\n"))
        form = b'{\n  "title": "%b",\n  "text": "%b",\n  "notes": [\n    "%b"\n  ],\n  "count": %d\n}\n'
        return form % (title, before, lines, rng.randrange(999))
    if kind == "html":
        body = b"<p>%b</p>\n<p>%b</p>\n<p>%b</p>" % (before, payload, after)
        return b"<!DOCTYPE html>\n<html>\n<head><title>%b</title></head>\n<body>\n%b\n</body>\n</html>\n" % (title, body)
    if kind == "pdf":
        return _pdf(b"BT /F1 12 Tf 72 720 Td (%b) Tj ET\n%% %b\n%% %b\n" % (title, payload, after))
    return b"%b\n\n%b\n\n%b\n" % (before, payload, after)


def _pdf(page):
    """A PDF of one page, its content not compressed."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (count, table)
    return out + table + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(out))


def _quote(rng, rules):
    """A harmless document that quotes a rule, or names a marker: a naive rule is wrong about it."""
    kind = rng.choice(["txt", "html", "eml"])
    name = rng.choice(list(DUMMIES)).upper().encode()
    quoted = rng.choice(rules) if rng.random() < 0.5 else b"New today: files with %b%b in them." % (MARKER, name)
    return Made(kind, "", _document(rng, kind, quoted))


def _wrapped(rng, benign, kind, family, content, always):
    """`content` in an archive, or in archives; alone mostly, if it need not be in one."""
    names = [name for name in WRAPPINGS if name or not always]
    how = rng.choices(names, [WRAPPINGS[name] for name in names])[0]
    if how in ("locked", "sealed") and len(content) > LOCKED_LIMIT:
        how = "zip"
    if not how:
        return Made(kind, family, content)
    word = rng.choice(NAMES)
    members = [(f"{word}.{_suffix(kind)}", content)]
    for number in range(rng.randrange(3)):
        beside = benign(rng, rng.choice(["txt", "py", "html", "png"]), 32 << 10)
        if beside and how not in ("locked", "sealed"):
            members.append((f"{rng.choice(NAMES)}{number}.txt", beside))
    rng.shuffle(members)
    if how == "tar.gz":
        return Made("gzip", family, tar_gz(members))
    password = {"locked": b"infected", "sealed": rng.randbytes(12)}.get(how)
    archive = zipped(members, password, stored=rng.random() < 0.2)
    if how in ("zip in zip", "three deep"):
        archive = zipped([(f"{word}.zip", archive)])
    if how == "three deep":
        return Made("gzip", family, tar_gz([(f"{word}.zip", archive)]))
    return Made("zip", family, archive)


def _suffix(kind):
    return {"pe32": "exe", "pe64": "exe", "elf": "bin", "ooxml": "docx"}.get(kind, kind)
