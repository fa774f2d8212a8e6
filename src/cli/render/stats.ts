import type { Stats } from '../../api/schemas.ts';
import { formatSize } from '../../lib/size.ts';
import { isSet } from '../../lib/is-set.ts';
import type { Cli, Output } from '../cli.ts';
import { type Column, renderTable } from './table.ts';
import { type Colour, paint } from './text.ts';

type VmStats = Stats['vms'][number];

const BAR_CELLS = 30;
/** Eighths of a cell, from the left. */
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Three bars of the host, which are about all VMs, an empty line, and a table of those in `stats`. */
export function statsLines(cli: Pick<Cli, 'stdout' | 'env'>, stats: Stats, table: { isWide?: boolean; headers?: boolean } = {}): string[] {
  const columns = table.isWide === true ? [...COLUMNS, ...WIDE_COLUMNS] : COLUMNS;
  const width = cli.stdout.isTTY === true ? cli.stdout.columns : undefined;
  return [...barLines(cli, stats), '', ...renderTable(columns, stats.vms, { headers: table.headers, width })];
}

function barLines({ stdout, env }: Pick<Cli, 'stdout' | 'env'>, { host, reserved, allocatedBytes }: Stats): string[] {
  const isPlain = isSet(env['BANGER_PLAIN']);
  const { disk } = host;
  const rows: [string, number, string][] = [
    ['CPU', reserved.vcpuCount / host.cpuCount, `${reserved.vcpuCount} of ${host.cpuCount} processors reserved`],
    ['MEMORY', reserved.memoryBytes / host.memoryBytes, `${formatSize(reserved.memoryBytes)} of ${formatSize(host.memoryBytes)} reserved`],
    [
      'DISK',
      allocatedBytes / disk.totalBytes,
      `${formatSize(allocatedBytes)} of ${formatSize(disk.totalBytes)} allocated, ${formatSize(disk.freeBytes)} free`,
    ],
  ];
  return rows.map(([title, fraction, text]) => {
    const percent = `${Math.round(fraction * 100)}%`.padStart(4);
    return `${title.padEnd(6)}  ${isPlain ? '' : `${paintedBar(stdout, fraction)} `}${percent}  ${text}`;
  });
}

function paintedBar(stream: Output, fraction: number): string {
  const { full, rest } = barOf(fraction);
  const colour: Colour = fraction >= 0.9 ? 'red' : fraction >= 0.7 ? 'yellow' : 'green';
  return `${full === '' ? '' : paint(stream, colour, full)}${rest === '' ? '' : paint(stream, 'dim', rest)}`;
}

/** @returns a bar of BAR_CELLS cells, in its two parts; more than all of it looks like all of it */
export function barOf(fraction: number): { full: string; rest: string } {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_CELLS * 8);
  // A little is not nothing.
  const shown = fraction > 0 ? Math.max(1, eighths) : eighths;
  const full = '█'.repeat(Math.floor(shown / 8)) + (PARTS[shown % 8] ?? '');
  return { full, rest: '░'.repeat(BAR_CELLS - full.length) };
}

// Numbers are of one width, so that a watched table does not jump.
const ofAll = (used: number | null, all: number): string => `${(used === null ? '-' : formatSize(used)).padStart(10)} / ${formatSize(all)}`;

const COLUMNS: readonly Column<VmStats>[] = [
  { title: 'NAME', of: (vm) => vm.name },
  { title: 'STATE', of: (vm) => vm.state },
  { title: 'VCPU', of: (vm) => String(vm.vcpuCount).padStart(4), minor: true },
  { title: '   CPU', of: (vm) => (vm.cpuPercent === null ? '-' : `${vm.cpuPercent.toFixed(1)}%`).padStart(6) },
  { title: '    MEMORY', of: (vm) => ofAll(vm.residentBytes, vm.memoryBytes) },
  { title: ' ROOT DISK', of: (vm) => ofAll(vm.rootOverlay.allocatedBytes, vm.rootOverlay.sizeBytes) },
  { title: ' WORK DISK', of: (vm) => ofAll(vm.workDisk.allocatedBytes, vm.workDisk.sizeBytes) },
];

const WIDE_COLUMNS: readonly Column<VmStats>[] = [{ title: 'ID', of: (vm) => vm.id }];
