// The root helper's overlays without root: a device is a file, into which the base is copied and from which the claimed file
// gets what was written. It is as strict about claims and the order of requests as the real one.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readlinkSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { OverlayHelper } from '../../../src/drivers/storage/dm-snapshot/helper-lines.ts';
import { BangerError } from '../../../src/model/errors.ts';

export type SimulatedOverlayHelper = OverlayHelper & {
  /** The requests so far. */
  requests: string[];
  /** The name of the errno with which it refuses the next request of this verb. */
  refusals: Map<string, string>;
  /** Attached overlays. */
  sizes: Map<string, { bytes: number; cowBytes: number }>;
  devicePath(id: string): string;
  reboot(): void;
};

const MIB = 1024 ** 2;

/** @param directory for what the real one keeps below /run and /dev; must exist */
export function simulatedOverlayHelper(directory: string): SimulatedOverlayHelper {
  const claims = join(directory, 'users/0');
  const devices = join(directory, 'devices');
  const helper: SimulatedOverlayHelper = {
    requests: [],
    refusals: new Map(),
    sizes: new Map(),
    devicePath: (id) => join(devices, `bgr-${id}`),
    reboot() {
      for (const path of [claims, devices]) rmSync(path, { recursive: true, force: true });
      helper.sizes.clear();
    },
    ask: (request) => Promise.resolve().then(() => answer(request)),
  };

  const refuse = (errno: string): never => {
    throw new BangerError('STORAGE_FAILED', 'the root helper refused it', { details: { errno } });
  };
  const claim = (id: string, name: string): string => {
    const path = join(claims, id, name);
    return existsSync(path) ? readlinkSync(path) : refuse('ENOENT');
  };
  const say = (id: string): string[] => {
    const size = helper.sizes.get(id) ?? refuse('ENOENT');
    const limit = Math.ceil(size.bytes / MIB) * MIB + MIB;
    return [`overlay device=${helper.devicePath(id)} used=4096 size=${Math.min(size.cowBytes, limit)} limit=${limit} state=ok`];
  };
  const attach = (id: string, bytes: number): string[] => {
    const [base, cow] = [claim(id, 'base'), claim(id, 'cow')];
    const present = helper.sizes.get(id);
    if (present !== undefined) return present.bytes === bytes ? say(id) : refuse('EBUSY');
    mkdirSync(devices, { recursive: true });
    copyFileSync(statSync(cow).size === 0 ? base : cow, helper.devicePath(id));
    chmodSync(helper.devicePath(id), 0o600);
    truncateSync(helper.devicePath(id), bytes);
    helper.sizes.set(id, { bytes, cowBytes: MIB });
    return say(id);
  };
  const detach = (id: string): string[] => {
    if (!helper.sizes.delete(id)) return [];
    copyFileSync(helper.devicePath(id), claim(id, 'cow'));
    rmSync(helper.devicePath(id));
    return [];
  };
  const extend = (id: string, cowBytes: number): string[] => {
    const size = helper.sizes.get(id) ?? refuse('ENOENT');
    helper.sizes.set(id, { ...size, cowBytes: Math.max(size.cowBytes, cowBytes) });
    return say(id);
  };
  const answer = (request: string): string[] => {
    helper.requests.push(request);
    const [noun = '', verb = '', id = '', number = ''] = request.split(' ');
    const refusal = helper.refusals.get(verb);
    if (refusal !== undefined && helper.refusals.delete(verb)) return refuse(refusal);
    if (noun === 'hello') {
      mkdirSync(claims, { recursive: true });
      return [`hello version=1 uid=0 directory=${claims}`, 'overlay device-mapper=4.48.0'];
    }
    if (noun !== 'overlay' || !/^[0-9a-f]{8}$/.test(id)) return refuse('EINVAL');
    if (verb === 'attach') return attach(id, Number(number));
    if (verb === 'detach') return detach(id);
    if (verb === 'status') return say(id);
    return verb === 'extend' ? extend(id, Number(number)) : refuse('EINVAL');
  };
  return helper;
}
