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
import type { Background } from './background.ts';
import type { Drivers } from './vm-drivers.ts';
import type { DiskPort, FilePort, ProcessPort } from './host-port.ts';
import type { KeyedLock } from './locks.ts';
import type { Machines } from './machines.ts';
import type { Operations } from './operations.ts';
import type { Reboots } from './reboots.ts';
import type { Retries } from './retries.ts';
import type { StandIns } from './stand-ins.ts';
import type { Timer } from './timer.ts';

export type LifecycleSettings = {
  /** The settings of a VM that its user does not choose. */
  defaultSpec: VmSpec;
  /** Where this installation begins to number its VMs. */
  firstNetworkIndex: number;
  /** Memory of this host; no VM can have more. */
  hostMemoryMib: number;
  /** How long `stop` waits for the guest to end by itself. */
  stopGraceMs: number;
  /** How long the guest agent may take to answer. */
  bootTimeoutMs: number;
  /** How long the VM's services may still take once its init has given up on a unit. */
  degradedWaitMs: number;
  /** The interval of space checks of overlays that must be extended. */
  spaceCheckMs: number;
  /** The host keeps at least this much free on the file system of the state directory. */
  reservedBytes: number;
  templates: TemplateSettings;
};

/** How creations are made faster than a boot. */
export type TemplateSettings = {
  /** Whether templates and spares are made and used. */
  enabled: boolean;
  /** What all templates may take on the disk. */
  budgetBytes: number;
  /** How many spares wait for the next creations. */
  pool: number;
};

/** The parts of this host's trust that guests can get. */
export type HostTrustSource = {
  /** @returns PEM, one certificate each. @throws NOT_FOUND, CONFIG_INVALID */
  certificates(): Promise<string[]>;
  /** @throws NOT_FOUND, CONFIG_INVALID, UNSUPPORTED for a proxy that no guest reaches */
  proxyVariables(): Record<string, string>;
};

/** The records of VMs, their places, and what acts on them. */
export type VmServices = {
  records: VmStore;
  manifests: VmManifests;
  drivers: Drivers;
  machines: Machines;
  locks: KeyedLock;
  reboots: Reboots;
  retries: Retries;
  standIns: StandIns;
  names: NamePort;
  connectAgent(machine: Machine): AgentClient;
  /** The public key that may log in as root. */
  clientPublicKey(): Promise<string>;
  pathsOf(vm: Pick<Vm, 'id'>): VmPaths;
};

/** Images: their records and their sources. */
export type ImageServices = {
  records: ImageStore;
  /** Names reserved for images that are being made. */
  reserved: Set<string>;
  /** @throws BUNDLE_MISSING, NOT_FOUND */
  resolve(reference: string | undefined): Promise<Image>;
  /** What builds provision their guests with. */
  sources: ProvisionSources;
  /** Distributions that an image can be built from, by name. */
  distributions: ReadonlyMap<string, Distribution>;
  /** Makes a root file system and a work seed from a foreign image. */
  readForeign(request: Omit<ImportRequest, 'host'>): Promise<ImportedFacts>;
  pathsOf(image: Pick<Image, 'id'>): ImagePaths;
  /** Whether an image matches its present sources. */
  freshness(image: Image): Promise<Freshness>;
  /** The image of new VMs, if the user names none (config.toml). */
  defaultName: string;
};

/** How an image compares with its present sources. */
export type Freshness = {
  /** The manifest of its packages has changed since the build. */
  stale: boolean;
  agentOutdated: boolean;
  /** The command that makes an up-to-date image; null if there is none, or none is needed. */
  rebuildCommand: string | null;
};

/** The surroundings of the VMs: host, clock, ids, log. */
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
  /** A precise clock, to compare with the clocks of guests. */
  guestTimer: Timer;
  jumps: ClockJumps;
};

/** Reports that the host's clock was set, or that the host slept. */
export type ClockJumps = {
  /** @returns a function that removes the listener */
  subscribe(listener: () => void): () => void;
};

/** Random values and ids. */
type Ids = {
  newId(): string;
  newName(): string;
  randomBase64(bytes: number): string;
  newSshHostKey(): SshHostKey;
};

/** What verbs work with, by subject; daemon/compose/ puts it together. A verb's signature says which parts it takes. */
export type LifecycleServices = {
  vms: VmServices;
  images: ImageServices;
  world: World;
  operations: Operations;
  background: Background;
  settings: LifecycleSettings;
};
