import type { Capability } from '../context/capability.ts';
import { clock } from './clock.ts';
import { dnsName } from './dns-name.ts';
import { entrypoint } from './entrypoint.ts';
import { hostTrust } from './host-trust.ts';
import { hostname } from './hostname.ts';
import { idle } from './idle.ts';
import { network } from './network.ts';
import { ports } from './ports.ts';
import { resources } from './resources.ts';
import { rootOverlay } from './root-overlay.ts';
import { services } from './services.ts';
import { space } from './space.ts';
import { ssh } from './ssh.ts';
import { workDisk } from './work-disk.ts';

/** Every capability, in the order of a start. A stop goes through them in reverse. Disks come first: their order is /dev/vda, /dev/vdb. */
export const ALL_CAPABILITIES: readonly Capability[] = [
  resources,
  rootOverlay,
  workDisk,
  space,
  clock,
  ssh,
  network,
  hostname,
  hostTrust,
  dnsName,
  idle,
  ports,
  services,
  entrypoint,
];
