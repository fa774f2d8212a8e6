import type { Stats } from '../../api/schemas.ts';
import { formatSize } from '../../lib/size.ts';
import { isSet } from '../../lib/is-set.ts';
import type { Cli } from '../cli.ts';
import type { Output } from '../streams.ts';
import { type Column, renderTable, withWide } from './table.ts';
import { type Colour, paint } from './text.ts';

type VmStats = Stats['vms'][number];

const BAR_CELLS = 20;
/** Eighths of a cell, from the left. */
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Three bars for the host, which count all VMs; an empty line; and a table of the VMs in `stats`. */
export function statsLines(cli: Pick<Cli, 'stdout' | 'env'>, stats: Stats, table: { isWide?: boolean; headers?: boolean } = {}): string[] {
  const columns = table.isWide === true ? withWide(COLUMNS, WIDE_COLUMNS) : COLUMNS;
  const width = cli.stdout.isTTY === true ? cli.stdout.columns : undefined;
  return [...barLines(cli, stats), ...readyLines(stats), '', ...renderTable(columns, stats.vms, { headers: table.headers, width })];
}

/** Nothing for a host that keeps nothing ready. */
function readyLines({ ready: { templates, spares, residentBytes, allocatedBytes } }: Stats): string[] {
  if (templates + spares === 0) return [];
  const made = `${templates} template${templates === 1 ? '' : 's'} and ${spares} spare VM${spares === 1 ? '' : 's'}`;
  return [`READY   ${made}: ${formatSize(residentBytes)} of the memory, ${formatSize(allocatedBytes)} of the disk`];
}

/** Each bar is filled by what is used. What is reserved is only a promise: the bar shows it paler, and the text says it. */
function barLines({ stdout, env }: Pick<Cli, 'stdout' | 'env'>, { host, used, reserved, allocatedBytes }: Stats): string[] {
  const isPlain = isSet(env['BANGER_PLAIN']);
  const { disk } = host;
  const processors = used.cpuPercent / 100;
  const rows: [string, { part: number; promised: number }, string][] = [
    [
      'CPU',
      { part: processors / host.cpuCount, promised: reserved.vcpuCount / host.cpuCount },
      `${processors.toFixed(1)} of ${host.cpuCount} processors used, ${reserved.vcpuCount} reserved`,
    ],
    [
      'MEMORY',
      { part: used.residentBytes / host.memoryBytes, promised: reserved.memoryBytes / host.memoryBytes },
      `${formatSize(used.residentBytes)} of ${formatSize(host.memoryBytes)} used, ${formatSize(reserved.memoryBytes)} reserved`,
    ],
    [
      'DISK',
      { part: allocatedBytes / disk.totalBytes, promised: 0 },
      `${formatSize(allocatedBytes)} of ${formatSize(disk.totalBytes)} allocated, ${formatSize(disk.freeBytes)} free`,
    ],
  ];
  return rows.map(([title, { part, promised }, text]) => {
    const percent = `${Math.round(part * 100)}%`.padStart(4);
    return `${title.padEnd(6)}  ${isPlain ? '' : `${paintedBar(stdout, part, promised)} `}${percent}  ${text}`;
  });
}

function paintedBar(stream: Output, fraction: number, promised: number): string {
  const { full, promise, rest } = barOf(fraction, promised);
  const colour: Colour = fraction >= 0.9 ? 'red' : fraction >= 0.7 ? 'yellow' : 'green';
  return `${full === '' ? '' : paint(stream, colour, full)}${promise}${rest === '' ? '' : paint(stream, 'dim', rest)}`;
}

/**
 * @returns a bar of BAR_CELLS cells: what is used, what is reserved beyond that, and the rest. More than the whole looks like the whole.
 */
export function barOf(fraction: number, promised = 0): { full: string; promise: string; rest: string } {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_CELLS * 8);
  // A little use still shows.
  const shown = fraction > 0 ? Math.max(1, eighths) : eighths;
  const full = '█'.repeat(Math.floor(shown / 8)) + (PARTS[shown % 8] ?? '');
  const promise = '▒'.repeat(Math.max(0, Math.round(Math.min(1, promised) * BAR_CELLS) - full.length));
  return { full, promise, rest: '░'.repeat(BAR_CELLS - full.length - promise.length) };
}

// All numbers have one width, so that a watched table does not jump.
const sizeOr = (bytes: number | null): string => (bytes === null ? '-' : formatSize(bytes)).padStart(10);
const ofAll = (used: number | null, all: number): string => `${sizeOr(used)} / ${formatSize(all)}`;

const COLUMNS: readonly Column<VmStats>[] = [
  { title: 'NAME', of: (vm) => vm.name },
  { title: 'STATE', of: (vm) => vm.state },
  { title: 'VCPU', of: (vm) => String(vm.vcpuCount).padStart(4), minor: true },
  { title: '   CPU', of: (vm) => (vm.cpuPercent === null ? '-' : `${vm.cpuPercent.toFixed(1)}%`).padStart(6) },
  { title: '    MEMORY', of: (vm) => ofAll(vm.residentBytes, vm.memoryBytes) },
  // What the guest's files take, and what the host's disk holds for them. The image's own files count once, for all VMs.
  { title: ' ROOT USED', of: (vm) => sizeOr(vm.rootOverlay.usedBytes) },
  { title: ' ROOT HELD', of: (vm) => ofAll(vm.rootOverlay.allocatedBytes, vm.rootOverlay.sizeBytes), minor: true },
  { title: ' WORK USED', of: (vm) => sizeOr(vm.workDisk.usedBytes) },
  { title: ' WORK HELD', of: (vm) => ofAll(vm.workDisk.allocatedBytes, vm.workDisk.sizeBytes), minor: true },
];

const WIDE_COLUMNS: readonly Column<VmStats>[] = [{ title: 'ID', of: (vm) => vm.id }];
