// Finds the guest port of a request from the name in the request. Pure.

/** The parts of a name: `3000.web.vm` is port 3000 of web; `web.vm` leaves the port to the guest's listeners. */
export type Target = { vm: string; port: number | undefined };

/** VMs have plain names (RFC 1123). The labels before a VM's name are up to the guest, so `_` and letters beyond ASCII are allowed. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LABEL_BELOW = /^[a-z0-9_\u{80}-\u{10ffff}-]{1,63}$/u;

/** `.localhost` needs no resolver of banger: every system resolves it to loopback (RFC 6761 §6.3). */
const ZONES: ReadonlySet<string> = new Set(['vm', 'localhost']);

/**
 * @param authority of a Host header, a URI or `:authority`
 * @returns host name or address, lower case, without port and final dot; undefined for anything but `host[:port]` (RFC 9110 §7.2), for
 * example with a user name before it
 */
export function hostOf(authority: string): string | undefined {
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[^\s/?#@,:[\]\\"'<>{}|^`]+?)\.?(?::(\d{0,5}))?$/i.exec(authority) ?? [];
  return host === undefined || Number(port ?? '') > 65_535 ? undefined : host.toLowerCase();
}

/**
 * @param host from `hostOf`
 * @returns undefined for a foreign name: a page of another site that made its own name resolve to this address (DNS rebinding) gets nothing
 */
export function parseTarget(host: string): Target | undefined {
  const labels = host.split('.');
  const zone = labels.pop() ?? '';
  const vm = labels.pop() ?? '';
  if (!ZONES.has(zone) || !LABEL.test(vm) || !labels.every((label) => LABEL_BELOW.test(label))) return undefined;
  const first = labels[0] ?? '';
  const port = /^\d{1,5}$/.test(first) && Number(first) >= 1 && Number(first) <= 65_535 ? Number(first) : undefined;
  return { vm, port };
}

/** Reachable TCP ports of a guest. */
type Reachable = { guestPort: number };

/** The default ports of development servers, in the order in which the VM's site is chosen. */
const USUAL_PORTS = [80, 8080, 3000, 5173, 8000, 5000, 4200, 4321, 8888];
const SSH_PORT = 22;

/** @returns the port behind `http://NAME.vm/`: a usual port of web servers, else the lowest open port */
export function defaultPort(ports: readonly Reachable[]): number | undefined {
  const open = new Set(ports.map(({ guestPort }) => guestPort));
  open.delete(SSH_PORT);
  return USUAL_PORTS.find((port) => open.has(port)) ?? (open.size === 0 ? undefined : Math.min(...open));
}
