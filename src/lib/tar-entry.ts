// What readers and writers of archives speak of.
/** Where the stored bytes of a file belong, in order; all else of it is zeros. */
export type SparseMap = { sizeBytes: number; pieces: readonly { at: number; sizeBytes: number }[] };

export const TAR_BLOCK_BYTES = 512;
export type TarEntry = {
  /** As `decodeName` gives it: bytes that are no UTF-8 are kept. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'device' | 'fifo' | 'other';
  /** Permission bits. */
  mode: number;
  /** Of what is stored. */
  sizeBytes: number;
  /** How long the file really is, and where what is stored belongs in it; default: it has no holes. */
  sparse?: SparseMap;
  /** Whole seconds. */
  modifiedMs: number;
  /** Nanoseconds beyond these, where an archive has them. */
  modifiedNs?: number;
  /** Target of a link. */
  linkPath: string;
  /** Default 0: what is copied for a person belongs to whoever unpacks it. */
  uid?: number;
  gid?: number;
  xattrs?: ReadonlyMap<string, Buffer>;
  /** Access control lists as text, by what comes behind `SCHILY.acl.`: `access`, `default`, and `ace` of other systems. */
  acls?: ReadonlyMap<string, string>;
};

/** How extended attributes are called in pax headers, by GNU tar, bsdtar and what writes container layers. */
export const XATTR_KEY = 'SCHILY.xattr.';
/** How access control lists are, by the same. */
export const ACL_KEY = 'SCHILY.acl.';

/** The archive is damaged, or of a kind that is not read here. */
export class TarProblem extends Error {
  override readonly name = 'TarProblem';
}
