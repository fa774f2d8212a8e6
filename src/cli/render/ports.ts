import type { GuestPortView } from '../../api/port-schemas.ts';
import type { Cli } from '../cli.ts';
import { type Column, renderTable, withWide } from './table.ts';
import { hyperlink } from './text.ts';

type Row = { port: GuestPortView; endpoint: string; url: string | null };

const COLUMNS: readonly Column<Row>[] = [
  { title: 'PROTO', of: ({ port }) => port.protocol },
  { title: 'ENDPOINT', of: ({ endpoint }) => endpoint },
  { title: 'PROCESS', of: ({ port }) => `${port.process}(${port.pid})` },
  { title: 'COMMAND', of: ({ port }) => port.command },
];

const WIDE_COLUMNS: readonly Column<Row>[] = [
  { title: 'BY NAME', of: ({ port }) => port.nameUrl ?? '' },
  { title: 'WITHOUT SET-UP', of: ({ port }) => port.localhostUrl ?? '' },
  { title: 'IN THE GUEST', of: ({ port }) => `${port.address.includes(':') ? `[${port.address}]` : port.address}:${port.port}` },
];

/** @returns the URLs of sites under names that every browser resolves to this machine, each once */
export function localhostUrls(ports: readonly GuestPortView[]): string[] {
  return [...new Set(ports.flatMap(({ localhostUrl }) => localhostUrl ?? []))];
}

export type PortTable = {
  /** Endpoints only. */
  isQuiet?: boolean;
  isWide?: boolean;
  headers?: boolean;
};

/**
 * @param cli its stdout decides the width, and whether URLs are clickable
 * @returns a table that joins rows that would look the same: a service bound for IPv4 and IPv6 has two, and Docker has a process for each
 * of them
 */
export function portLines(cli: Pick<Cli, 'stdout' | 'env'>, ports: readonly GuestPortView[], table: PortTable): string[] {
  const isQuiet = table.isQuiet === true;
  const rows = table.isWide === true ? ports.flatMap(rowsOf) : eachOnce(ports.flatMap(rowsOf));
  const columns = isQuiet ? COLUMNS.slice(1, 2) : table.isWide === true ? withWide(COLUMNS, WIDE_COLUMNS) : COLUMNS;
  const headers = !isQuiet && table.headers !== false;
  const lines = renderTable(columns, rows, { headers, width: cli.stdout.isTTY === true && !isQuiet ? cli.stdout.columns : undefined });
  const first = headers ? 1 : 0;
  // The endpoint comes before all text of the guest, so the first match of the URL is banger's own.
  const linked = lines.map((line, at) => {
    const url = rows[at - first]?.url;
    return url === null || url === undefined ? line : line.replace(url, () => hyperlink(cli.stdout, url, cli.env));
  });
  return [...new Set(linked)];
}

/** Of several rows of one program with the same endpoint, keeps the first. */
function eachOnce(rows: readonly Row[]): Row[] {
  const seen = new Map<string, Row>();
  for (const row of rows) {
    const key = JSON.stringify([row.port.protocol, row.endpoint, row.port.process]);
    if (!seen.has(key)) seen.set(key, row);
  }
  return [...seen.values()];
}

function rowsOf(port: GuestPortView): Row[] {
  const others = port.forwards.map(({ hostAddress, hostPort, open }) => {
    const url =
      port.scheme === null || !open ? null : `${port.scheme}://${hostAddress === '0.0.0.0' ? '127.0.0.1' : hostAddress}:${hostPort}/`;
    const place = `${hostAddress}:${hostPort}`;
    const note = hostAddress === '0.0.0.0' && url !== null ? ' (on all addresses)' : '';
    return { port, url, endpoint: `${url ?? place}${note} (forward of ${port.port})${open ? '' : ' (not open)'}` };
  });
  return [{ port, url: port.url, endpoint: endpointOf(port) }, ...others];
}

/** @returns the endpoint on the host, or the reason why there is none */
function endpointOf(port: GuestPortView): string {
  if (port.hostAddress === null || port.hostPort === null) {
    const address = port.address.includes(':') ? `[${port.address}]` : port.address;
    return `${address}:${port.port} (${port.problem ?? 'in the guest only'})`;
  }
  const place = port.url ?? `${port.hostAddress}:${port.hostPort}`;
  return port.hostPort === port.port ? place : `${place} (${port.port} in the guest)`;
}
