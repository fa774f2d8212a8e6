import { generateKeyPairSync, randomBytes } from 'node:crypto';

/** An ed25519 key in the forms that sshd reads. */
export type SshHostKey = {
  /** PEM of OpenSSH's own private key format. */
  private: string;
  /** `ssh-ed25519 AAAA…`, without a comment. */
  public: string;
};

const KEY_TYPE = 'ssh-ed25519';

/**
 * Makes a host key without ssh-keygen: 1 ms instead of 37, and every create waits for it.
 * The private form is openssh/PROTOCOL.key: magic, no cipher, one key, public blob, padded private section.
 */
export function makeSshHostKey(): SshHostKey {
  const pair = generateKeyPairSync('ed25519');
  // The last 32 bytes of both DER forms are the raw key (RFC 8410).
  const publicKey = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const seed = pair.privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32);
  const publicBlob = Buffer.concat([sshString(KEY_TYPE), sshString(publicKey)]);
  const check = randomBytes(4);
  const section = pad(Buffer.concat([check, check, publicBlob, sshString(Buffer.concat([seed, publicKey])), sshString('')]));
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    sshString('none'),
    sshString('none'),
    sshString(''),
    uint32(1),
    sshString(publicBlob),
    sshString(section),
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    private: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    public: `${KEY_TYPE} ${publicBlob.toString('base64')}`,
  };
}

function sshString(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(n: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
}

/** To a multiple of 8 with 1, 2, 3, … */
function pad(section: Buffer): Buffer {
  const missing = (8 - (section.length % 8)) % 8;
  return Buffer.concat([section, Buffer.from(Array.from({ length: missing }, (_, n) => n + 1))]);
}
