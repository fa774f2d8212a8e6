import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stats } from '../../api/schemas.ts';
import { barOf, statsLines } from './stats.ts';
import { PassThrough } from 'node:stream';

const GIB = 1024 ** 3;
const STATS: Stats = {
  ...{ time: '2026-01-01T00:00:00Z', intervalMs: 200, allocatedBytes: GIB },
  host: { cpuCount: 4, memoryBytes: 8 * GIB, disk: { path: '/', totalBytes: 100 * GIB, freeBytes: 50 * GIB } },
  reserved: { vcpuCount: 8, memoryBytes: 8 * GIB },
  used: { cpuPercent: 40, residentBytes: GIB },
  ready: { templates: 0, spares: 0, residentBytes: 0, allocatedBytes: 0 },
  vms: [],
};

test('a bar is as long as its part, in eighths of a cell; a little is seen, and too much is just full (3.11)', () => {
  const drawn = (fraction: number, promised?: number): string => Object.values(barOf(fraction, promised)).join('');
  assert.equal(drawn(0), '░'.repeat(20));
  assert.equal(drawn(0.5), '█'.repeat(10) + '░'.repeat(10));
  assert.equal(drawn(0.575), '█'.repeat(11) + '▌' + '░'.repeat(8));
  assert.equal(drawn(0.0001), '▏' + '░'.repeat(19));
  for (const fraction of [1, 2.5]) assert.equal(drawn(fraction), '█'.repeat(20));
  assert.equal(drawn(0.25, 0.5), '█'.repeat(5) + '▒'.repeat(5) + '░'.repeat(10));
  assert.equal(drawn(0.5, 0.25), '█'.repeat(10) + '░'.repeat(10));
  assert.equal(drawn(0.05, 3), '█' + '▒'.repeat(19));
});

test('80 columns have room for the usage in guests; the space that the host holds for them needs more (3.11)', () => {
  const disk = { usedBytes: 0.3 * GIB, allocatedBytes: 0.5 * GIB, sizeBytes: 8 * GIB };
  const vm = {
    ...{ id: '1', name: 'web', state: 'running', vcpuCount: 2, memoryBytes: GIB, cpuPercent: 12.3, residentBytes: GIB / 2 },
    ...{ rootOverlay: disk, workDisk: disk },
  } as Stats['vms'][number];
  const stats = { ...STATS, vms: [vm] };
  const titles = (columns: number): string[] =>
    statsLines({ stdout: Object.assign(new PassThrough(), { isTTY: true, columns }), env: {} }, stats)[4]
      ?.trim()
      .split(/ {2,}/) ?? [];
  assert.deepEqual(titles(80), ['NAME', 'STATE', 'VCPU', 'CPU', 'MEMORY', 'ROOT USED', 'WORK USED']);
  assert.deepEqual(titles(130).slice(-4), ['ROOT USED', 'ROOT HELD', 'WORK USED', 'WORK HELD']);
});

test('reserved resources are named in words, and only used ones fill a bar (3.11)', () => {
  const coloured = Object.assign(new PassThrough(), { isTTY: true, columns: 80, getColorDepth: () => 8 });
  const [cpu = '', memory = ''] = statsLines({ stdout: coloured, env: {} }, STATS);
  assert.match(cpu, / {2}10% {2}0\.4 of 4 processors used, 8 reserved$/);
  assert.match(memory, / {2}13% {2}1 GiB of 8 GiB used, 8 GiB reserved$/);
  assert.ok(!(cpu + memory).includes('[31m'), 'nothing is red');
  // The table below them is as wide as its terminal lets it.
  for (const line of statsLines({ stdout: new PassThrough(), env: {} }, STATS).slice(0, 3)) assert.ok(line.length <= 80, line);
});

test('what banger keeps for the next VMs has a line of its own, if there is anything (10.2)', () => {
  const shown = (ready: Stats['ready']): string[] => statsLines({ stdout: new PassThrough(), env: {} }, { ...STATS, ready });
  assert.equal(shown(STATS.ready)[3], '');
  const line = shown({ templates: 1, spares: 2, residentBytes: GIB / 4, allocatedBytes: GIB / 8 })[3];
  assert.equal(line, 'READY   1 template and 2 spare VMs: 256 MiB of the memory, 128 MiB of the disk');
});
