import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** A flag of open(2), as /proc shows it. */
const O_CLOEXEC = 0o2000000;

/**
 * Node reads the user's certificates in a thread, from files that look like inherited descriptors. If they are closed under it, their
 * numbers go to the next files, for example the database, which Node would then read and close. Asking Node for the certificates waits for
 * the thread.
 */
async function certificatesAreRead(env: NodeJS.ProcessEnv): Promise<void> {
  const { NODE_EXTRA_CA_CERTS: extra, NODE_USE_SYSTEM_CA: system } = env;
  if (extra === undefined && system === undefined) return;
  const { getCACertificates } = await import('node:tls');
  if (extra !== undefined) getCACertificates('extra');
  if (system !== undefined) getCACertificates('system');
}

/**
 * Closes descriptors that the daemon's parent left open. Otherwise every program that the daemon starts would have them too, and with them
 * access to a file or connection of the user. Node closes its own descriptors on exec.
 * @param kept a descriptor that was passed on purpose
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
      // The descriptor that listed the others is closed already.
    }
  }
}
