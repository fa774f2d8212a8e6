import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CreateVm, VmView } from '../../api/schemas.ts';
import { completeImage, type Image } from '../image.ts';
import type { VmSpec } from '../vm.ts';
import { allSettings, SETTINGS } from './all.ts';
import { completeSpec } from './complete.ts';
import { settle } from './setting.ts';

const MIB = 1024 ** 2;
const PRESENT: VmSpec = { vcpuCount: 2, memoryMib: 512, workDiskBytes: 100 * MIB, rootOverlayBytes: 200 * MIB, nat: true };

type Same<One, Other> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;

test('the type of a spec is exact, member by member (3.2)', () => {
  type Sizes = { vcpuCount: number; memoryMib: number; workDiskBytes: number; rootOverlayBytes: number };
  type Idle<Absent> = Partial<Record<'pauseAfterSeconds' | 'suspendAfterSeconds', number | Absent> & { wakeAt: string | Absent }>;
  type Flat<Joined> = { [Member in keyof Joined]: Joined[Member] };
  const isKept: Same<VmSpec, Flat<Sizes & { nat: boolean; hostCa?: boolean; hostProxy?: boolean } & Idle<never>>> = true;
  type Trust = { nat: boolean; hostCa?: boolean | undefined; hostProxy?: boolean | undefined };
  const isShown: Same<VmView['spec'], Flat<Sizes & Trust & Idle<undefined>>> = true;
  const isAsked: Same<Pick<CreateVm, 'memoryMib' | 'nat'>, { memoryMib?: number | undefined; nat?: boolean | undefined }> = true;
  assert.ok(isKept && isShown && isAsked);
});

test('a requested value takes precedence, false too; an unset switch is no member (3.2, 3.7)', () => {
  const asked = { nat: false, vcpuCount: undefined, hostCa: false };
  assert.deepEqual(settle(SETTINGS, asked, PRESENT), { ...PRESENT, nat: false, hostCa: false });
  assert.deepEqual(Object.keys(settle(SETTINGS, {}, { hostProxy: true, ...PRESENT })), [...Object.keys(PRESENT), 'hostProxy']);
});

test('a default gives way to a larger image, and a wish does not (3.2, 5.3)', () => {
  const image: Image = { ...completeImage({ id: '1', name: 'big', createdAt: '' }), rootfsBytes: 300 * MIB, workSeedBytes: 50 * MIB };
  assert.deepEqual(completeSpec(PRESENT, { vcpuCount: 4 }, image), { ...PRESENT, vcpuCount: 4, rootOverlayBytes: 300 * MIB });
  assert.throws(() => completeSpec(PRESENT, { rootOverlayBytes: 250 * MIB }, image), {
    code: 'INVALID_INPUT',
    message: "a root file system of 250 MiB is smaller than the image's 300 MiB",
    remedy: 'use --system-overlay-size 300M or more',
  });
});

test('every setting has a flag of its own, and every file of them a capability of the same name (3.2, 7.1)', () => {
  const flags = allSettings().map(([, { flag }]) => flag);
  assert.deepEqual([...new Set(flags)], flags);
  const shared = ['all.ts', 'complete.ts', 'setting.ts', 'settings.test.ts', 'text.ts'];
  const files = readdirSync(import.meta.dirname).filter((file) => !shared.includes(file));
  const capabilities = join(import.meta.dirname, '../../capabilities');
  assert.ok(files.length >= 5);
  assert.deepEqual(
    files.filter((file) => !existsSync(join(capabilities, file))),
    [],
  );
});
