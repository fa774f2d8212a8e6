// One file for each VM's name, with the host key that banger gave to the VM. The proxy writes it before ssh reads it.
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSshPublicKey } from '../lib/ssh-fingerprint.ts';
import { BangerError } from '../model/errors.ts';

/** The suffix of VMs' names. */
export const NAME_SUFFIX = '.vm';

/** @returns the name without that suffix */
export function bareName(host: string): string {
  return host.endsWith(NAME_SUFFIX) ? host.slice(0, -NAME_SUFFIX.length) : host;
}

/**
 * @param path of the file; its name is the host name that the user typed
 * @param publicKey of the host, `ssh-ed25519 AAAA…`
 * @param names of all VMs: files of others are removed
 * @throws USAGE if the name is no host name, UNSUPPORTED for a key that holds more than one key
 */
export async function learnHostKey(path: string, publicKey: string, names: readonly string[]): Promise<void> {
  const directory = dirname(path);
  const host = path.slice(directory.length + 1);
  if (!/^[a-z0-9.-]+$/i.test(host) || /^\.+$/.test(host))
    throw new BangerError('USAGE', `${JSON.stringify(host)} is not the name of a host`);
  if (!isSshPublicKey(publicKey)) {
    throw new BangerError('UNSUPPORTED', `the daemon's key for ${host} is not an SSH public key`, { remedy: 'banger doctor' });
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}.partial`;
  // ssh looks up a host whose port is not 22 by the second pattern.
  await writeFile(partial, `${host},[${host}]:* ${publicKey}\n`, { mode: 0o600 });
  await rename(partial, path);
  const known = new Set(names.map((name) => `${name}${NAME_SUFFIX}`));
  for (const file of await readdir(directory)) {
    if (file !== host && !known.has(file) && !file.endsWith('.partial')) await rm(join(directory, file), { force: true });
  }
}
