/** An entry of an archive: a directory, a file or a character device. */
export type CpioEntry =
  | { type: 'directory'; path: string; mode: number }
  | { type: 'file'; path: string; mode: number; content: Uint8Array }
  | { type: 'device'; path: string; mode: number; major: number; minor: number };

const TYPE_BITS = { directory: 0o040000, file: 0o100000, device: 0o020000 } as const;

/**
 * Writes the "newc" format that the kernel unpacks as an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst). Device
 * nodes are plain entries, so this needs no privilege; owners are root and times are 0, so equal input gives equal bytes.
 * @param entries parents before children, paths without a leading slash
 */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const chunks: Buffer[] = [];
  for (const [index, entry] of entries.entries()) pushEntry(chunks, entry, index + 1);
  pushRecord(chunks, { inode: 0, mode: 0, links: 1, path: 'TRAILER!!!', content: new Uint8Array(), major: 0, minor: 0 });
  return Buffer.concat(chunks);
}

function pushEntry(chunks: Buffer[], entry: CpioEntry, inode: number): void {
  pushRecord(chunks, {
    inode,
    mode: TYPE_BITS[entry.type] | entry.mode,
    links: entry.type === 'directory' ? 2 : 1,
    path: entry.path,
    content: entry.type === 'file' ? entry.content : new Uint8Array(),
    major: entry.type === 'device' ? entry.major : 0,
    minor: entry.type === 'device' ? entry.minor : 0,
  });
}

type CpioRecord = { inode: number; mode: number; links: number; path: string; content: Uint8Array; major: number; minor: number };

function pushRecord(chunks: Buffer[], record: CpioRecord): void {
  const name = Buffer.from(`${record.path}\0`);
  const fields = [
    record.inode,
    record.mode,
    0, // uid
    0, // gid
    record.links,
    0, // mtime
    record.content.length,
    0, // device of the file system: major, minor
    0,
    record.major,
    record.minor,
    name.length,
    0, // checksum, unused in this format
  ];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`, 'latin1');
  chunks.push(header, name, padding(header.length + name.length), Buffer.from(record.content), padding(record.content.length));
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
