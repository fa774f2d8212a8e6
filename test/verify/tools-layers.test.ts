// Layers and images as GNU tar, bsdtar, umoci, skopeo, podman and buildah write them in their rarer ways, each held against what umoci
// makes of them. Seconds; root and these tools.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { realHost } from '../../src/host/host.ts';
import { importImage } from '../../src/images/import/import-image.ts';
import { assertSameFiles, type Facts, mountedFacts, unpackedFacts } from '../support/images/tree-facts.ts';

/** A shell script in an empty directory that makes `layout:latest`, or what it says. */
type Case = {
  script: string;
  /** Archive that is imported in place of the layout. */
  archive?: string;
  /** Layout with the same, in forms that umoci reads. */
  plain?: string;
  /** Why it is not imported. */
  refused?: RegExp;
  /** What may differ, and why. */
  explained?: (one: Facts) => boolean;
};

/** What the scripts have: `new` begins an image, `layer TAR` adds a layer just as it is, `json FILTER FILE` changes a file of the layout. */
const PRELUDE = `
new() { umoci init --layout layout; umoci new --image layout:latest; umoci config --image layout:latest --config.cmd /x; }
layer() { umoci raw add-layer --image layout:latest "$1"; }
pack() { to=$1; shift; tar --numeric-owner --sort=name -cf "$to" "$@"; layer "$to"; }
# Changes the manifest, and what names it.
manifest() {
  old=$(python3 -c 'import json; print(json.load(open("layout/index.json"))["manifests"][0]["digest"][7:])')
  python3 - "$old" "$1" <<'END'
import hashlib, json, os, sys
old, change = sys.argv[1:]
def store(value):
    data = json.dumps(value).encode() if not isinstance(value, bytes) else value
    name = hashlib.sha256(data).hexdigest()
    open("layout/blobs/sha256/" + name, "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
def load(descriptor):
    return json.load(open("layout/blobs/sha256/" + descriptor["digest"][7:]))
index = json.load(open("layout/index.json"))
m = json.load(open("layout/blobs/sha256/" + old))
c = load(m["config"])
exec(change)
m["config"] |= store(c)
index["manifests"][0] |= store(m)
if "outer" in globals(): outer(index)
json.dump(index, open("layout/index.json", "w"))
END
}
`;

const CASES: Record<string, Case> = {
  'opaque directories in three layers, and one opaque at the root': {
    script: `new; mkdir -p a/b c; touch a/b/1 a/2 c/3; pack 1.tar a c
      rm -r a c; mkdir -p a/b; touch a/.wh..wh..opq a/b/4; pack 2.tar a
      rm -r a; mkdir -p a/b; touch a/b/.wh..wh..opq a/b/5 a/6; pack 3.tar a
      rm -r a; mkdir z; touch .wh..wh..opq z/7; pack 4.tar .wh..wh..opq z
      rm -r z .wh..wh..opq; mkdir -p a; touch a/8; pack 5.tar a`,
  },
  'hard links to files of lower layers, which are replaced and taken away later': {
    script: `new; mkdir d; echo one > d/f; ln d/f d/g; ln -s f d/l; pack 1.tar d
      ln d/f d/h; ln d/l d/m; tar --numeric-owner -cf 2.tar d/f d/h d/l d/m; tar --delete -f 2.tar d/f d/l; layer 2.tar
      rm -r d; mkdir d; echo two > d/f; pack 3.tar d/f
      rm d/f; touch d/.wh.g; pack 4.tar d/.wh.g`,
    // mke2fs gives each name of a symbolic link one of its own.
    explained: ({ type }) => type === 'symlink',
  },
  'a file, a directory, a link, a pipe and a file again at one path': {
    script: `new; mkdir d; echo f > d/x; pack 1.tar d
      rm d/x; mkdir d/x; touch d/x/in; pack 2.tar d
      rm -r d/x; ln -s in d/x; pack 3.tar d
      rm d/x; mkfifo -m 640 d/x; pack 4.tar d
      rm d/x; echo last > d/x; pack 5.tar d`,
  },
  'layers through absolute links and chains of them': {
    script: `new; mkdir -p src/real/sub src/run; touch src/real/1 src/real/sub/2 src/run/3; ln -s /real src/abs; ln -s abs src/chain
      ln -s ../../run src/real/sub/up; ln -s /real src/gone; pack 1.tar -C src real run abs chain gone
      mkdir -p up/abs up/chain/sub/up; touch up/abs/.wh.1 up/abs/new up/chain/sub/up/4 up/.wh.gone; tar -cf 2.tar -C up abs/.wh.1 abs/new chain/sub/up/4 .wh.gone; layer 2.tar`,
    explained: ({ path, type }) => type === 'directory' && path.startsWith('real'),
  },
  'empty layers: of no entry, of no byte, and twice the same': {
    script: `new; mkdir d; touch d/f; pack 1.tar d; tar -cf 2.tar -T /dev/null; layer 2.tar; layer 2.tar
      head -c 1024 /dev/zero > 3.tar; layer 3.tar; layer 1.tar`,
  },
  'an image of no layers': { script: 'new' },
  'zstd:chunked of podman': {
    script: `new; mkdir d; for i in 1 2 3; do head -c 300000 /dev/urandom > d/$i; done; ln d/1 d/4; pack 1.tar d
      s="--root $PWD/s --runroot $PWD/r --storage-driver vfs"
      podman $s pull -q oci:layout:latest > id; podman $s push -q --compression-format zstd:chunked $(cat id) oci:chunked:latest
      podman $s rmi -af > said; rm -rf s r`,
    ...{ archive: 'chunked', plain: 'layout' },
  },
  'zstd and gzip layers that buildah pushes': {
    script: `new; mkdir d; seq 100000 > d/f; pack 1.tar d; s="--root $PWD/s --runroot $PWD/r --storage-driver vfs"
      buildah $s pull -q oci:layout:latest > id; buildah $s push -q --compression-format zstd $(cat id) oci:zstd:latest; buildah $s rmi -af > said; rm -rf s r`,
    ...{ archive: 'zstd', plain: 'layout' },
  },
  'gzip and zstd in several members': {
    script: `new; mkdir d; seq 50000 > d/f; pack 1.tar d
      head -c 100000 1.tar | gzip > 1.gz; tail -c +100001 1.tar | gzip >> 1.gz
      manifest 'm["layers"][0] |= store(open("1.gz", "rb").read())'`,
  },
  'numbers of users beyond what an ordinary user has': {
    script: `new; mkdir d; touch d/f; tar --numeric-owner --owner=3000000000 --group=5 -cf 1.tar d; layer 1.tar`,
    refused: /"d" belongs to user 3000000000:5; ids go up to 65535/,
  },
  'device nodes': {
    script: `new; mkdir -p dev d; mknod dev/null c 1 3; touch dev/file; pack 1.tar dev; mknod d/disk b 8 0; pack 2.tar d`,
    refused: /"d\/disk" is a device node outside \/dev/,
  },
  'a device node of a lower layer that a later one takes away': {
    script: `new; mkdir d; mknod d/disk b 8 0; mkfifo d/pipe; pack 1.tar d; rm d/*; touch d/.wh.disk; pack 2.tar d/.wh.disk`,
  },
  'a layer of an unknown kind': {
    script: `new; mkdir d; touch d/f; pack 1.tar d
      manifest 'm["layers"].append({"mediaType": "application/vnd.example.wasm"} | store(b"\\0asm\\1")); c["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(b"\\0asm\\1").hexdigest())'`,
    refused: /a layer of it is "application\/vnd\.example\.wasm", which is no file system/,
  },
  'a layer that lies elsewhere': {
    script: `new; mkdir d; touch d/f; pack 1.tar d
      manifest 'm["layers"].insert(0, {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "digest": "sha256:" + 64 * "a", "size": 9, "urls": ["https://example.org/l"]}); c["rootfs"]["diff_ids"].insert(0, "sha256:" + 64 * "b")'`,
    refused: /is not in it.*banger does not fetch missing/,
  },
  'a layer that need not be given away, and is there': {
    script: `new; mkdir d; touch d/f; pack 1.tar d
      manifest 'm["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"'`,
  },
  'indexes in indexes, without a platform and without a kind': {
    script: `new; mkdir d; touch d/f; pack 1.tar d; cp -r layout plain
      manifest '
def outer(index):
    for level in range(3):
        inner = dict(index)
        if level == 1: del inner["manifests"][0]["mediaType"]
        index["manifests"] = [{"mediaType": "application/vnd.oci.image.index.v1+json", "annotations": {"org.opencontainers.image.ref.name": "latest"}} | store({"schemaVersion": 2, "manifests": inner["manifests"]})]
globals()["outer"] = outer'`,
    plain: 'plain',
  },
  'a configuration in which all is null': {
    script: `new; mkdir d; touch d/f; pack 1.tar d
      manifest 'c["config"] = {k: None for k in ["Entrypoint", "Cmd", "Env", "User", "WorkingDir", "Volumes", "Labels", "ExposedPorts", "StopSignal", "Healthcheck"]}; c["history"] = None; m["annotations"] = None; index["manifests"][0]["platform"] = None; index["annotations"] = None; m["subject"] = None'`,
  },
  'without a configuration of how it runs, and with members that nobody knows': {
    script: `new; mkdir d; touch d/f; pack 1.tar d
      manifest 'c.pop("config", None); c.pop("history", None); c["moby.buildkit.buildinfo.v1"] = "x"; m["layers"][0]["data"] = "eA=="; m["layers"][0]["artifactType"] = None; index["manifests"][0]["annotations"]["n"] = "v"'`,
  },
  'archives of docker that skopeo writes, with one layer twice': {
    script: `new; mkdir d; touch d/f; pack 1.tar d; mkdir e; touch e/g; pack 2.tar e; layer 1.tar
      skopeo --insecure-policy copy -q oci:layout:latest docker-archive:docker.tar:x:latest`,
    archive: 'docker.tar',
  },
  'bsdtar: attributes, access lists, holes, names of no character set': {
    script: `new; mkdir d; echo f > d/f; setfattr -n user.k -v 0x0a00ff d/f; truncate -s 3M d/holes; echo end >> d/holes; touch -d '1969-12-31 23:59:58.5 UTC' d/old
      touch "d/$(printf 'caf\\351')" "d/$(printf '%0200d' 1)" d/ü; ln d/f d/h; chmod 6755 d/f
      bsdtar --numeric-owner --format=pax -cf 1.tar d; layer 1.tar`,
  },
  'GNU tar: its own format, with long names, holes and a label, and that of 1979': {
    script: `new; mkdir -p d/sub; touch "d/$(printf '%0220d' 1)" d/sub/f; ln -s "$(printf '%0300d' 1)" d/l; truncate -s 5M d/holes
      printf x | dd of=d/holes bs=1 seek=4000000 conv=notrunc status=none; find d -exec touch -h -d @1700000000 {} +
      pack 1.tar d; mv layout plain; new
      tar --format=gnu -S --numeric-owner -V label -cf 1.tar d; layer 1.tar; tar --format=v7 --numeric-owner -cf 2.tar d/sub; layer 2.tar`,
    plain: 'plain',
  },
  'cpio in the form of ustar, with absolute names': {
    script: `new; mkdir d; echo f > d/f; ln d/f d/h; (find d | cpio -o -H ustar > 1.tar) 2> said; layer 1.tar; mkdir e; touch e/f; tar -P --transform 's,^,/,' -cf 2.tar e; layer 2.tar`,
  },
};

async function compare(
  t: TestContext,
  { script, archive = 'layout', plain = 'layout', refused, explained = () => false }: Case,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-tools-layers-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  try {
    execFileSync('bash', ['-euc', `${PRELUDE}\n${script}`], { cwd: directory, stdio: 'pipe' });
  } catch (error) {
    throw new Error(`the tools failed: ${String((error as { stderr: Buffer }).stderr)}`, { cause: error });
  }
  const [rootfs, workSeed, scratch] = ['rootfs', 'seed', 'scratch'].map((name) => join(directory, name)) as [string, string, string];
  const importing = importImage({
    ...{ path: join(directory, archive), reference: undefined, modulesPath: null, scratch, rootfs, workSeed, host: realHost },
    ...{ signal: new AbortController().signal, onProgress: () => undefined, onLog: () => undefined },
  });
  if (refused !== undefined) {
    await assert.rejects(importing, (error: Error & { remedy?: string }) => {
      assert.match(`${error.message} ${error.remedy ?? ''}`, refused);
      return true;
    });
    return;
  }
  await importing;
  assertSameFiles(
    unpackedFacts(`${join(directory, plain)}:latest`, directory),
    mountedFacts(rootfs),
    (one) => one.path === 'lost+found' || one.path === '' || explained(one),
  );
}

for (const [name, given] of Object.entries(CASES)) test(`${name} (8.8, 11.10)`, (t) => compare(t, given));
