// Verifies signatures of packages by keys that are known beforehand, never by a key from a repository.
import { createHash, createPublicKey, createVerify, type KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BangerError } from '../../model/errors.ts';

export type TrustedKey = {
  key: KeyObject;
  /** The public key as its owner publishes it. */
  pem: Buffer;
  /** SHA-256 of the key (SPKI, DER), hex, which identifies it. */
  sha256: string;
  /** xbps's name of the key, and the name of its file in /var/db/xbps/keys. */
  fingerprint: string;
};

/** Shorter keys have been broken (NIST SP 800-131A). */
const LEAST_MODULUS_BITS = 2048;

/** @returns the keys by their SHA-256. @param folders `*.pem` are read, other files ignored @throws CONFIG_INVALID */
export async function readTrustedKeys(folders: readonly string[]): Promise<ReadonlyMap<string, TrustedKey>> {
  const keys = new Map<string, TrustedKey>();
  for (const folder of folders) {
    const names = await readdir(folder).catch((error: unknown) => {
      throw new BangerError('CONFIG_INVALID', `the keys for Void repositories cannot be read: ${String(error)}`, {
        remedy: 'name a directory of public keys, *.pem (void.keys in config.toml)',
      });
    });
    for (const name of names.filter((one) => one.endsWith('.pem')).toSorted()) {
      const key = parseKey(await readFile(join(folder, name)));
      if (key === undefined) {
        throw new BangerError('CONFIG_INVALID', `${join(folder, name)} is no RSA public key of ${LEAST_MODULUS_BITS} bits or more`, {
          remedy: 'write one: openssl rsa -in private.pem -pubout',
        });
      }
      keys.set(key.sha256, key);
    }
  }
  return keys;
}

/** @returns undefined unless it is an RSA public key with enough bits */
export function parseKey(pem: Buffer): TrustedKey | undefined {
  // createPublicKey would also accept a private key and derive the public one.
  if (pem.length > 16_384 || !/-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem.toString('latin1'))) return undefined;
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    return undefined;
  }
  if (key.asymmetricKeyType !== 'rsa' || (key.asymmetricKeyDetails?.modulusLength ?? 0) < LEAST_MODULUS_BITS) return undefined;
  const sha256 = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return { key, pem, sha256, fingerprint: fingerprintOf(key) };
}

/** MD5 of the key in ssh's form (RFC 4253, 6.6), with colons: a name, not a proof. */
function fingerprintOf(key: KeyObject): string {
  const { n = '', e = '' } = key.export({ format: 'jwk' });
  const field = (bytes: Buffer): Buffer => Buffer.concat([lengthOf(bytes), bytes]);
  const number = (base64: string): Buffer => {
    const bytes = Buffer.from(base64, 'base64url');
    return field((bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
  };
  const blob = Buffer.concat([field(Buffer.from('ssh-rsa')), number(e), number(n)]);
  return createHash('md5').update(blob).digest('hex').match(/../g)?.join(':') ?? '';
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
}

/** @returns whether the signature matches the file: RSA with PKCS#1 v1.5 padding over SHA-256 (xbps-rindex(1), `--sign-pkg`) */
export async function isSigned(path: string, signature: Buffer, { key }: TrustedKey, signal: AbortSignal): Promise<boolean> {
  const verify = createVerify('RSA-SHA256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 ** 2 }), verify, { signal });
  return verify.verify(key, signature);
}
