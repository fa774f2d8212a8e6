"""Tells everything about the files below a directory, one JSON object a line, sorted by path: what two unpackings of one image must agree on.

usage: tree-facts.py DIRECTORY
Bytes of names that are no UTF-8 come as lone surrogates (PEP 383). `same` is the first path of the file among its hard links.
"""
import hashlib, json, os, stat, sys

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFCHR: "device",
         stat.S_IFBLK: "device", stat.S_IFSOCK: "socket"}
top = os.fsencode(sys.argv[1])
seen = {}


def digest(path):
    whole = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            whole.update(piece)
    return whole.hexdigest()


def tell(path):
    full = os.path.join(top, path)
    found = os.lstat(full)
    kind = TYPES[stat.S_IFMT(found.st_mode)]
    facts = {"path": os.fsdecode(path), "type": kind, "mode": oct(stat.S_IMODE(found.st_mode)), "owner": f"{found.st_uid}:{found.st_gid}",
             "mtime": found.st_mtime_ns}
    if kind == "file":
        facts |= {"size": found.st_size, "sha256": digest(full)}
    if kind == "symlink":
        facts["target"] = os.fsdecode(os.readlink(full))
    if kind != "directory" and found.st_nlink > 1:
        facts["same"] = os.fsdecode(seen.setdefault(found.st_ino, path))
    names = os.listxattr(full, follow_symlinks=False)
    if names:
        facts["xattrs"] = {name: os.getxattr(full, name, follow_symlinks=False).hex() for name in sorted(names)}
    print(json.dumps(facts))


def walk(path):
    tell(path)
    if not stat.S_ISDIR(os.lstat(os.path.join(top, path)).st_mode):
        return
    for name in sorted(os.listdir(os.path.join(top, path))):
        walk(os.path.join(path, name))


sys.setrecursionlimit(10_000)
walk(b"")
