import type { Machine } from '../drivers/hypervisor/contract.ts';
import type { AgentClient } from '../guest/agent-client.ts';
import type { SshHostKey } from '../guest/ssh-host-key.ts';
import type { Distribution } from '../images/distribution.ts';
import type { ImportedFacts, ImportRequest } from '../images/import/import-image.ts';
import type { ProvisionSources } from '../images/provision/sources.ts';
import type { Image } from '../model/image.ts';
import type { ImagePaths, VmPaths } from '../model/paths.ts';
import type { Vm, VmSpec } from '../model/vm.ts';
import type { NamePort } from '../names/names.ts';
import type { ImageStore } from '../store/images.ts';
import type { VmManifests } from '../store/vm-manifests.ts';
import type { VmStore } from '../store/vms.ts';
import type { Drivers } from './vm-drivers.ts';
import type { DiskPort, FilePort, ProcessPort } from './host-port.ts';
import type { KeyedLock } from './locks.ts';
import type { Machines } from './machines.ts';
import type { Operations } from './operations.ts';
import type { Reboots } from './reboots.ts';
import type { Retries } from './retries.ts';
import type { Timer } from './timer.ts';

export type LifecycleSettings = {
  /** What a VM gets when the user does not say. */
  defaultSpec: VmSpec;
  /** Where this installation begins to number its VMs. */
  firstNetworkIndex: number;
  /** Memory of this host; no VM can have more. */
  hostMemoryMib: number;
  /** How long `stop` lets the guest end by itself. */
  stopGraceMs: number;
  /** How long the guest may take until its agent answers. */
  bootTimeoutMs: number;
  /** How long after its init has given up on something the services of a VM may still come. */
  degradedWaitMs: number;
  /** How often the space of overlays that must be given some ahead is looked at. */
  spaceCheckMs: number;
  /** The host keeps at least this much of the file system that holds the state. */
  reservedBytes: number;
};

/** What guests can be given of the trust of this host. */
export type HostTrustSource = {
  /** @returns PEM, one certificate each. @throws NOT_FOUND, CONFIG_INVALID */
  certificates(): Promise<string[]>;
  /** @throws NOT_FOUND, CONFIG_INVALID, UNSUPPORTED for a proxy that no guest reaches */
  proxyVariables(): Record<string, string>;
};

/** What a VM is, where it is kept, and what acts on it. */
export type VmServices = {
  records: VmStore;
  manifests: VmManifests;
  drivers: Drivers;
  machines: Machines;
  locks: KeyedLock;
  reboots: Reboots;
  retries: Retries;
  names: NamePort;
  connectAgent(machine: Machine): AgentClient;
  /** Public key that may log in as root. */
  clientPublicKey(): Promise<string>;
  pathsOf(vm: Pick<Vm, 'id'>): VmPaths;
};

/** Images: their records, and what they are made from. */
export type ImageServices = {
  records: ImageStore;
  /** Names of images that are being made. */
  reserved: Set<string>;
  /** @throws BUNDLE_MISSING, NOT_FOUND */
  resolve(reference: string | undefined): Promise<Image>;
  /** What guests of builds are provisioned with. */
  sources: ProvisionSources;
  /** Those that images can be made of from their packages alone, by name. */
  distributions: ReadonlyMap<string, Distribution>;
  /** Makes a root file system and a work seed of an image that is not banger's own. */
  readForeign(request: Omit<ImportRequest, 'host'>): Promise<ImportedFacts>;
  pathsOf(image: Pick<Image, 'id'>): ImagePaths;
  /** Whether it is as its sources are now. */
  freshness(image: Image): Promise<Freshness>;
  /** What config.toml calls the image of VMs whose user names none. */
  defaultName: string;
};

/** How an image compares with its sources as they are now. */
export type Freshness = {
  /** The manifest of its packages has changed since. */
  stale: boolean;
  agentOutdated: boolean;
  /** Makes a fresh one; null where nothing does, or nothing has to. */
  rebuildCommand: string | null;
};

/** The world around the VMs: host, clock, ids, log. */
export type World = {
  files: FilePort;
  disks: DiskPort;
  processes: ProcessPort;
  clock: Clock;
  ids: Ids;
  trust: HostTrustSource;
  warn(message: string, facts: Record<string, unknown>): void;
};

type Clock = {
  now(): Date;
  /** For looks at the clocks of guests. */
  guestTimer: Timer;
  jumps: ClockJumps;
};

/** Tells that the host's clock was set, or that the host slept. */
export type ClockJumps = {
  /** @returns what ends it */
  subscribe(listener: () => void): () => void;
};

/** Random values and ids. */
type Ids = {
  newId(): string;
  newName(): string;
  randomBase64(bytes: number): string;
  newSshHostKey(): SshHostKey;
};

/** What verbs work with, by subject; put together in daemon/compose/. A verb's signature says which of it it takes. */
export type LifecycleServices = {
  vms: VmServices;
  images: ImageServices;
  world: World;
  operations: Operations;
  settings: LifecycleSettings;
};
