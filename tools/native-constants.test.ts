import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FRAME_TYPES } from '../src/lib/frames.ts';
import { AGENT_LIMITS, LIMITS } from '../src/model/limits.ts';
import { BRIDGE_ADDRESS, FORBIDDEN_DESTINATIONS } from '../src/model/network.ts';
import { CONSTANTS_PATH, constantsText } from './native-constants.ts';

const ROOT = join(import.meta.dirname, '..');

test('host and guest have one set of limits, addresses and frames: the header is what the model says (3.13)', () => {
  assert.equal(readFileSync(join(ROOT, CONSTANTS_PATH), 'utf8'), constantsText(), 'make native-constants');
});

test('the compiler reads from the header what TypeScript means (3.13)', () => {
  const names = ['data', 'stderr', 'eof', 'resize', 'signal', 'exit', 'close'] as const;
  const source = `#include <stdint.h>
    #include "${join(ROOT, CONSTANTS_PATH)}"
    enum { FRAME_TYPES };
    struct network { uint32_t first; int length; } networks[] = {FORBIDDEN_NETWORKS};
    unsigned char mac[] = {MAC_PREFIX_BYTES};
    const char *octets[] = {GUEST_OCTETS};
    _Static_assert(sizeof networks / sizeof *networks == ${FORBIDDEN_DESTINATIONS.length}, "");
    _Static_assert(sizeof mac == 3 && sizeof octets / sizeof *octets == 2, "");
    _Static_assert(LIMIT_JSON_BYTES == ${AGENT_LIMITS.jsonBytes} && LIMIT_DISK_BYTES == ${LIMITS.diskBytes.max}, "");
    _Static_assert(BRIDGE_ADDRESS_NUMBER == ${BRIDGE_ADDRESS.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)}, "");
    _Static_assert(${names.map((name) => `FRAME_${name.toUpperCase()} == ${FRAME_TYPES[name]}`).join(' && ')}, "");`;
  execFileSync('cc', ['-std=c11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-x', 'c', '-'], { input: source });
});
