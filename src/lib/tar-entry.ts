// Types of the readers and writers of archives.
/** The positions of a file's stored bytes, in order; the rest of the file is zeros. */
export type SparseMap = { sizeBytes: number; pieces: readonly { at: number; sizeBytes: number }[] };

export const TAR_BLOCK_BYTES = 512;
export type TarEntry = {
  /** From `decodeName`: bytes that are not UTF-8 are kept. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'fifo' | 'other';
  /** Permission bits. */
  mode: number;
  /** Of the stored bytes. */
  sizeBytes: number;
  /** The file's real length, and the positions of the stored bytes in it; default: it has no holes. */
  sparse?: SparseMap;
  /** Whole seconds. */
  modifiedMs: number;
  /** Nanoseconds beyond these, if the archive has them. */
  modifiedNs?: number;
  /** Target of a link. */
  linkPath: string;
  /** Default 0: a file that is copied for a user belongs to the user who unpacks it. */
  uid?: number;
  gid?: number;
  xattrs?: ReadonlyMap<string, Buffer>;
  /** Access control lists as text, by the suffix of `SCHILY.acl.`: `access`, `default`, and `ace` of other systems. */
  acls?: ReadonlyMap<string, string>;
};

/** Prefixes of extended attributes in pax headers, in GNU tar, bsdtar and tools for container layers. */
export const XATTR_KEY = 'SCHILY.xattr.';
/** The same for access control lists. */
export const ACL_KEY = 'SCHILY.acl.';

/** The archive is damaged, or of an unsupported kind. */
export class TarProblem extends Error {
  override readonly name = 'TarProblem';
}
