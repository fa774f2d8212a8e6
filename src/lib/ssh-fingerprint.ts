import { createHash } from 'node:crypto';

/** @param publicKey "ssh-ed25519 AAAA…" @returns `SHA256:…` as ssh-keygen -l prints it */
export function sshFingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.trim().split(/\s+/)[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** @returns whether `text` is exactly one key, as a line of known_hosts or authorized_keys holds it (sshd(8)) */
export function isSshPublicKey(text: string): boolean {
  return /^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}$/.test(text);
}
