// Writes native/common/constants.h: values on which the C programs and TypeScript must agree are defined in TypeScript only. The file is
// checked in, because `bundle build` compiles the programs where there is no TypeScript; check-native.ts reports when it is stale.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FRAME_HEADER_BYTES, FRAME_TYPES, MAX_FRAME_PAYLOAD_BYTES } from '../src/lib/frames.ts';
import {
  AGENT_SERIAL_PORT,
  AGENT_SERIAL_PORTS,
  AGENT_VSOCK_PORT,
  AGENT_VSOCK_WORKERS,
  LAST_WORD_VSOCK_PORT,
} from '../src/model/guest-agent.ts';
import { AGENT_LIMITS, LIMITS, VMM_OPEN_FILES } from '../src/model/limits.ts';
import {
  BRIDGE_ADDRESS,
  DNS_FORWARD_ADDRESS,
  FIRST_NETWORK_INDEX,
  FORBIDDEN_DESTINATIONS,
  GUEST_PREFIX,
  GUEST_PREFIX_LENGTH,
  HOST_BRIDGE,
  LAST_NETWORK_INDEX,
  LOOPBACK_PREFIX,
  MAC_PREFIX,
  PRIVATE_NETWORK,
} from '../src/model/network.ts';
import {
  HELPER_CONFIG_PATH,
  HELPER_DEVICE_DIRECTORY,
  HELPER_RUN_DIRECTORY,
  JAIL_DIRECTORY,
  JAIL_PROGRAMS,
} from '../src/model/root-helper.ts';
import { resourceSettings } from '../src/model/settings/resources.ts';
import { HOST_NAME_PREFIX } from '../src/model/vm.ts';

const ROOT = join(import.meta.dirname, '..');
export const CONSTANTS_PATH = 'native/common/constants.h';

/** A `#define`: its name, and its value as C writes it. */
type Constant = readonly [name: string, value: string];

const text = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`;
/** Wide enough for every sum in C. */
const bytes = (value: number): string => (value > 0x7fff_ffff ? `UINT64_C(${value})` : String(value));
const octets = (prefix: string): string => prefix.split('.').map(text).join(', ');
const macBytes = (prefix: string): string =>
  prefix
    .split(':')
    .map((byte) => `0x${byte}`)
    .join(', ');

/** @returns an IPv4 address as a number in the host's byte order; missing parts at its end are zero */
function address(dotted: string): Constant[1] {
  const parts = [...dotted.split('.').map(Number), 0, 0, 0].slice(0, 4);
  return `0x${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}u`;
}

/** @returns an initializer with its first address and the length of its prefix */
function network(range: string): string {
  const [first = '', length = '32'] = range.split('/');
  return `{${address(first)}, ${length}}`;
}

const frameTypes = (): string =>
  Object.entries(FRAME_TYPES)
    .map(([name, value]) => `FRAME_${name.toUpperCase()} = ${value}`)
    .join(', ');

/** Groups in the order of the header, each with the file that says more. */
const groups = (): readonly { of: string; constants: readonly Constant[] }[] => [
  {
    of: 'src/model/network.ts',
    constants: [
      ['GUEST_PREFIX', text(GUEST_PREFIX)],
      ['GUEST_NETWORK', address(GUEST_PREFIX)],
      ['GUEST_OCTETS', octets(GUEST_PREFIX)],
      ['GUEST_PREFIX_LENGTH', String(GUEST_PREFIX_LENGTH)],
      ['BRIDGE_ADDRESS', text(BRIDGE_ADDRESS)],
      ['BRIDGE_ADDRESS_NUMBER', address(BRIDGE_ADDRESS)],
      ['DNS_FORWARD_ADDRESS', text(DNS_FORWARD_ADDRESS)],
      ['LOOPBACK_NETWORK', address(LOOPBACK_PREFIX)],
      ['LOOPBACK_OCTETS', octets(LOOPBACK_PREFIX)],
      ['MAC_PREFIX', text(MAC_PREFIX)],
      ['MAC_PREFIX_BYTES', macBytes(MAC_PREFIX)],
      ['FIRST_NETWORK_INDEX', String(FIRST_NETWORK_INDEX)],
      ['LAST_NETWORK_INDEX', String(LAST_NETWORK_INDEX)],
      ['FORBIDDEN_DESTINATIONS', text(FORBIDDEN_DESTINATIONS.join(', '))],
      ['FORBIDDEN_NETWORKS', FORBIDDEN_DESTINATIONS.map(network).join(', ')],
      ['HOST_BRIDGE', text(HOST_BRIDGE)],
      ['PRIVATE_BRIDGE', text(PRIVATE_NETWORK.bridge)],
      ['PRIVATE_UPLINK', text(PRIVATE_NETWORK.uplink)],
      ['OUTBOUND_PORT', String(PRIVATE_NETWORK.outboundPort)],
      ['OUTBOUND_MARK', String(PRIVATE_NETWORK.outboundMark)],
    ],
  },
  { of: 'src/model/vm.ts', constants: [['HOST_NAME_PREFIX', text(HOST_NAME_PREFIX)]] },
  {
    of: 'src/model/guest-agent.ts',
    constants: [
      ['AGENT_VSOCK_PORT', String(AGENT_VSOCK_PORT)],
      ['LAST_WORD_VSOCK_PORT', String(LAST_WORD_VSOCK_PORT)],
      ['AGENT_SERIAL_PORT', text(AGENT_SERIAL_PORT)],
      ['AGENT_SERIAL_PORTS', String(AGENT_SERIAL_PORTS)],
      ['AGENT_VSOCK_WORKERS', String(AGENT_VSOCK_WORKERS)],
    ],
  },
  {
    of: 'src/model/limits.ts',
    constants: [
      ['LIMIT_HEAD_BYTES', bytes(AGENT_LIMITS.headBytes)],
      ['LIMIT_JSON_BYTES', bytes(AGENT_LIMITS.jsonBytes)],
      ['LIMIT_JSON_VALUES', String(AGENT_LIMITS.jsonValues)],
      ['VMM_OPEN_FILES', String(VMM_OPEN_FILES)],
      ['LIMIT_DISK_BYTES', bytes(LIMITS.diskBytes.max)],
    ],
  },
  {
    of: 'src/model/settings/resources.ts',
    constants: [['LIMIT_VCPUS', String(resourceSettings.vcpuCount.range.max)]],
  },
  {
    of: 'src/lib/frames.ts',
    constants: [
      ['FRAME_HEADER_BYTES', String(FRAME_HEADER_BYTES)],
      ['FRAME_MAX_PAYLOAD_BYTES', String(MAX_FRAME_PAYLOAD_BYTES)],
      ['FRAME_TYPES', frameTypes()],
    ],
  },
  {
    of: 'src/model/root-helper.ts',
    constants: [
      ['HELPER_CONFIG_PATH', text(HELPER_CONFIG_PATH)],
      ['HELPER_RUN_DIRECTORY', text(HELPER_RUN_DIRECTORY)],
      ['HELPER_DEVICE_DIRECTORY', text(HELPER_DEVICE_DIRECTORY)],
      ['JAIL_PROGRAMS', text(JAIL_PROGRAMS)],
      ['JAIL_DIRECTORY', text(JAIL_DIRECTORY)],
    ],
  },
];

/** @returns the text of native/common/constants.h as it must be */
export function constantsText(): string {
  const define = ([name, value]: Constant): string => `#define ${name} ${value}`;
  return [
    '// Made of the files that it names by tools/native-constants.ts; `make native-constants` makes it anew.',
    '#ifndef COMMON_CONSTANTS_H',
    '#define COMMON_CONSTANTS_H',
    ...groups().flatMap(({ of, constants }) => ['', `// ${of}`, ...constants.map(define)]),
    '',
    '#endif',
    '',
  ].join('\n');
}

if (import.meta.main) writeFileSync(join(ROOT, CONSTANTS_PATH), constantsText());
