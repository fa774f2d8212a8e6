import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** Of open(2), as /proc shows it. */
const O_CLOEXEC = 0o2000000;

/**
 * Node reads the user's certificates in a thread of its own, from files that look like inherited ones: closed under it, their numbers
 * would go to the next file, the database for one, which it would then read and close. To ask for the certificates is to wait for that.
 */
async function certificatesAreRead(env: NodeJS.ProcessEnv): Promise<void> {
  const { NODE_EXTRA_CA_CERTS: extra, NODE_USE_SYSTEM_CA: system } = env;
  if (extra === undefined && system === undefined) return;
  const { getCACertificates } = await import('node:tls');
  if (extra !== undefined) getCACertificates('extra');
  if (system !== undefined) getCACertificates('system');
}

/**
 * Closes what whoever started the daemon has left open: every program that the daemon starts would have it too, and so a way to a file or
 * connection of the user's. All that Node opens itself is closed on exec.
 * @param kept descriptor that was handed over on purpose
 */
export async function closeInherited(kept: number | undefined): Promise<void> {
  await certificatesAreRead(process.env);
  for (const name of readdirSync('/proc/self/fd')) {
    const descriptor = Number(name);
    if (descriptor <= 2 || descriptor === kept) continue;
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'utf8'))?.[1] ?? '0';
      if ((Number.parseInt(flags, 8) & O_CLOEXEC) === 0) closeSync(descriptor);
    } catch {
      // The one by which the list was read is gone.
    }
  }
}
