"""Archives, made so that the same members always give the same bytes.

Python's zipfile writes no encryption, so the zip is written here, with PKWARE's traditional cipher. That cipher is weak;
it is what malware is customarily exchanged in, with the password `infected`.
"""

import gzip
import hashlib
import io
import struct
import tarfile
import zlib

DOS_DATE = (2024 - 1980) << 9 | 1 << 5 | 1
EPOCH = 1_704_067_200  # 2024-01-01


def _crc_of_byte(value):
    for _ in range(8):
        value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value


CRC_TABLE = [_crc_of_byte(value) for value in range(256)]


def encrypt(data, password, crc):
    """`data` behind the 12 bytes of header that the cipher begins with."""
    table, key0, key1, key2 = CRC_TABLE, 0x12345678, 0x23456789, 0x34567890

    def feed(byte):
        nonlocal key0, key1, key2
        key0 = key0 >> 8 ^ table[(key0 ^ byte) & 0xFF]
        key1 = ((key1 + (key0 & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        key2 = key2 >> 8 ^ table[(key2 ^ key1 >> 24) & 0xFF]

    for byte in password:
        feed(byte)
    # Random by custom; taken from the content here, so that a second run writes the same.
    salt = hashlib.sha256(password + crc.to_bytes(4, "little")).digest()[:11]
    out = bytearray()
    for byte in salt + bytes([crc >> 24]) + data:
        mask = key2 & 0xFFFF | 2
        out.append(byte ^ (mask * (mask ^ 1) >> 8 & 0xFF))
        feed(byte)
    return bytes(out)


def zipped(members, password=None, stored=False):
    """A zip of (name, content) pairs; with a password, every member is locked."""
    body, directory = bytearray(), bytearray()
    for name, content in members:
        crc, packed, method = zlib.crc32(content), content, 0
        if not stored:
            deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed, method = deflate.compress(content) + deflate.flush(), 8
        if password:
            packed = encrypt(packed, password, crc)
        name = name.encode("ascii")
        flags = 1 if password else 0
        common = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, DOS_DATE, crc, len(packed), len(content), len(name), 0)
        directory += b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\3\4" + common + name + packed
    count = len(members)
    return bytes(body + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0))


def tar_gz(members):
    """A gzipped tar of (name, content) pairs."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), EPOCH
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(file.getvalue(), 6, mtime=0)
