import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** Of open(2), as /proc shows it. */
const O_CLOEXEC = 0o2000000;

/**
 * Closes what whoever started the daemon has left open: every program that the daemon starts would have it too, and so a way to a file or
 * connection of the user's. All that Node opens itself is closed on exec.
 * @param kept descriptor that was handed over on purpose
 */
export function closeInherited(kept: number | undefined): void {
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
