import { createHash } from 'node:crypto';

/** @param publicKey "ssh-ed25519 AAAA…" @returns `SHA256:…` as ssh-keygen -l prints it */
export function sshFingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.trim().split(/\s+/)[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}
