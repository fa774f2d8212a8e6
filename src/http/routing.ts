// Decides where a request goes: to a port of a guest, or to a page that says why not.
import { defaultPort, hostOf, parseTarget } from './authority.ts';
import type { Standing, Table } from './messages.ts';
import { PAGES, type Page } from './pages.ts';

export type FrontView = {
  table: Table;
  /** The page for a VM that does not run. */
  ask(name: string, wake: boolean): Promise<Standing>;
};

/** What decides about a request. Names of headers are in lower case. */
export type Asked = { authority: string; method: string; headers: ReadonlyMap<string, string> };

export type Route = { address: string; port: number; vm: string; guestPort: number };

/** @param here the local address of the connection */
export async function routeOf(asked: Asked, here: string, { table, ask }: FrontView): Promise<Route | { page: Page }> {
  const host = hostOf(asked.authority);
  if (host === undefined) return { page: PAGES.bad() };
  const own = host === here ? nameAt(table, here) : undefined;
  const target = own === undefined ? parseTarget(host) : { vm: own, port: undefined };
  if (target === undefined) return { page: PAGES.unknown() };
  const address = table.names.get(target.vm);
  if (address === undefined) return { page: pageOfAbsent(target.vm, await ask(target.vm, isPersons(asked))) };
  const port = target.port ?? defaultPort(table.ports.get(address) ?? []);
  return (port === undefined ? undefined : routeTo(table, target.vm, address, port)) ?? { page: PAGES.closed(target.vm, port) };
}

/** @returns the guest's port 80, for data on that port of its address that is not HTTP */
export function routeOfBytes(here: string, { table }: FrontView): Route | undefined {
  return routeTo(table, nameAt(table, here), here, 80);
}

/** Sent by the button of a page of banger, or by a page of the VM itself that is still open; no other site can forge it. */
const FORM = 'application/x-www-form-urlencoded';

/**
 * Whether a person may have asked for the VM on a page of its own name. Browsers send Origin with every POST, and no page can change it.
 * They send other headers (Sec-Fetch-*) only to names that they trust, and `.vm` is not one of them.
 */
function isPersons({ authority, method, headers }: Asked): boolean {
  const origin = headers.get('origin');
  const type = (headers.get('content-type') ?? FORM).split(';')[0]?.trim().toLowerCase();
  const plain = (text: string): string => text.toLowerCase().replace(/:80$/, '');
  return method === 'POST' && origin !== undefined && plain(origin) === `http://${plain(authority)}` && type === FORM;
}

function nameAt(table: Table, address: string): string | undefined {
  for (const [name, candidate] of table.names) if (candidate === address) return name;
  return undefined;
}

function routeTo(table: Table, vm: string | undefined, address: string, guestPort: number): Route | undefined {
  const found = table.ports.get(address)?.find((port) => port.guestPort === guestPort);
  return vm === undefined || found === undefined ? undefined : { vm, address, port: found.hostPort, guestPort };
}

function pageOfAbsent(vm: string, standing: Standing): Page {
  switch (standing) {
    case 'unknown':
      return PAGES.unknown();
    case 'starting':
      return PAGES.starting(vm);
    case 'asleep':
      return PAGES.asleep(vm);
    case 'stopped':
      return PAGES.stopped(vm);
  }
}
