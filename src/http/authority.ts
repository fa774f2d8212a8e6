// Which guest port a request is for, by the name that it was sent to. Pure.

/** What a name says: `3000.web.vm` is port 3000 of web, `web.vm` leaves the port to what listens. */
export type Target = { vm: string; port: number | undefined };

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** @returns host name or address of a Host header, lower case, without port and final dot */
export function hostOf(authority: string): string {
  return authority
    .toLowerCase()
    .replace(/:\d{1,5}$/, '')
    .replace(/\.$/, '');
}

/**
 * @param authority of a Host header or `:authority`
 * @returns undefined for what is no name under .vm: a page of another site that had its own name lead here (DNS rebinding) gets nothing
 */
export function parseTarget(authority: string): Target | undefined {
  const labels = hostOf(authority).split('.');
  if (labels.length < 2 || labels.pop() !== 'vm' || !labels.every((label) => LABEL.test(label))) return undefined;
  const vm = labels.pop() ?? '';
  const first = labels[0] ?? '';
  const port = /^\d{1,5}$/.test(first) && Number(first) >= 1 && Number(first) <= 65_535 ? Number(first) : undefined;
  return { vm, port };
}

/** TCP ports of a guest that can be reached. */
type Reachable = { guestPort: number };

/** Where development servers listen by default, in the order in which one is taken for the site of the VM. */
const USUAL_PORTS = [80, 8080, 3000, 5173, 8000, 5000, 4200, 4321, 8888];
const SSH_PORT = 22;

/** @returns what `http://NAME.vm/` means: a usual port of web servers, else the lowest that listens */
export function defaultPort(ports: readonly Reachable[]): number | undefined {
  const open = new Set(ports.map(({ guestPort }) => guestPort));
  open.delete(SSH_PORT);
  return USUAL_PORTS.find((port) => open.has(port)) ?? (open.size === 0 ? undefined : Math.min(...open));
}
