import type { Readable } from 'node:stream';
import type { Hypervisor, Machine } from '../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../drivers/network/contract.ts';
import type { StorageDriver } from '../drivers/storage/contract.ts';
import type { AgentClient } from '../guest/agent-client.ts';
import type { SshHostKey } from '../guest/ssh-host-key.ts';
import type { Distribution } from '../images/distribution.ts';
import type { ProvisionSources } from '../images/provision/sources.ts';
import type { ImportedFacts, ImportRequest } from '../images/import/import-image.ts';
import type { Image } from '../model/image.ts';
import type { VmAddresses } from '../model/network.ts';
import type { ImagePaths, VmPaths } from '../model/paths.ts';
import type { Verdict } from '../model/verdict.ts';
import type { NamePort } from '../names/names.ts';
import type { ProcessIdentity, Vm, VmRuntime, VmSpec } from '../model/vm.ts';
import type { ImageStore } from '../store/images.ts';
import type { VmManifests } from '../store/vm-manifests.ts';
import type { VmStore } from '../store/vms.ts';
import type { ClockJumps } from './clock-watch.ts';
import type { KeyedLock } from './locks.ts';
import type { Reboots } from './reboots.ts';
import type { Retries } from './retries.ts';
import type { Timer } from './timer.ts';
import type { Machines } from './machines.ts';
import type { Operations } from './operations.ts';

/** The few things that verbs do to files and processes, handed in so that tests can break them. */
export type HostPort = {
  makePrivateDirectory(path: string): Promise<void>;
  removeTree(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** @param searchPath directories with colons between them */
  findProgram(name: string, searchPath: string): Promise<string | undefined>;
  commandEnvironment(): Record<string, string>;
  writeFileAtomic(path: string, content: string | Uint8Array, mode?: number): Promise<void>;
  readIfThere(path: string): Promise<string | undefined>;
  namesIn(path: string): Promise<string[]>;
  namesByAge(path: string): Promise<string[]>;
  reflink(from: string, to: string): Promise<boolean>;
  sparseCopy(from: string, to: string, signal?: AbortSignal): Promise<void>;
  extendSparse(path: string, sizeBytes: number): Promise<void>;
  setLength(path: string, sizeBytes: number): Promise<void>;
  readHead(path: string, bytes: number): Promise<Uint8Array>;
  /** @returns why programs that read foreign data cannot be run here, and what mends it */
  confinementProblem(): Promise<{ reason: string; remedy: string } | undefined>;
  /** Of the file's whole length, empty. */
  makeExt4(path: string, label: string, signal?: AbortSignal): Promise<void>;
  /** Of a file system that no machine uses; what can be repaired is. */
  checkExt4(path: string, signal?: AbortSignal): Promise<void>;
  shrinkExt4(path: string, spareBytes: number, signal?: AbortSignal): Promise<void>;
  sha256File(path: string, signal?: AbortSignal): Promise<string>;
  appendText(path: string, text: string): Promise<void>;
  moveFile(from: string, to: string): Promise<void>;
  openWhole(path: string): Promise<{ content: Readable; sizeBytes: number }>;
  openUnpacked(path: string): Readable;
  regularFileSize(path: string): Promise<number | undefined>;
  publishDirectory(from: string, to: string): Promise<void>;
  fileSize(path: string): Promise<{ bytes: number; allocatedBytes: number }>;
  freeBytes(path: string): Promise<number>;
  fileSystemSize(path: string): Promise<{ totalBytes: number; freeBytes: number }>;
  processUsage(identity: ProcessIdentity): Promise<{ cpuMs: number; residentBytes: number } | undefined>;
  endProcess(identity: ProcessIdentity, graceMs: number): Promise<boolean>;
  signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean;
  isAlive(identity: ProcessIdentity): boolean;
  bootId(): string;
  /** Every IPv4 address of this host or beyond that a TCP connection of this host has at one of its ends. */
  connectedAddresses(): Promise<Set<string>>;
  /** Every IPv4 address on which a program of another user listens for TCP. */
  listenedByOthers(): Set<string>;
};

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

/** The drivers of one VM. */
export type VmDrivers = { hypervisor: Hypervisor; storage: StorageDriver; network: NetworkDriver };

/** Those that have made something for a VM, or are about to; nobody else is asked about it. */
export type RecordedDrivers = { readonly [Kind in keyof VmDrivers]: VmDrivers[Kind] | undefined };

/** A VM stays with the drivers that made what it has, whatever new VMs get. */
export type Drivers = {
  /** @returns those that are recorded. One that cannot be had now is there all the same, and refuses with the reason. */
  of(runtime: VmRuntime | null): RecordedDrivers;
  /** @returns where programs on the host reach the VM; of one that no network has joined, where a new one would be reached */
  addressOnHost(runtime: VmRuntime | null, addresses: VmAddresses): string;
  /**
   * Chooses for the next start of a VM, by what works on this host now. A VM that has its disk keeps what made it.
   * @returns with a note when it therefore runs on another VMM than new ones
   * @throws PREREQUISITE_MISSING when the configuration asks for what does not work here
   */
  choose(runtime: VmRuntime | null): Promise<VmDrivers & { note?: string }>;
  /** Looks whether the network that joined a VM, and that could not be had, is there by now. */
  refreshNetworks(runtime: VmRuntime | null): Promise<void>;
  /** Every driver that may have made something of a VM. */
  hypervisors(): readonly Hypervisor[];
  storages(): readonly StorageDriver[];
  networks(): readonly NetworkDriver[];
};

/** What guests can be given of the trust of this host. */
export type HostTrustSource = {
  /** @returns PEM, one certificate each. @throws NOT_FOUND, CONFIG_INVALID */
  certificates(): Promise<string[]>;
  /** @throws NOT_FOUND, CONFIG_INVALID, UNSUPPORTED for a proxy that no guest reaches */
  proxyVariables(): Record<string, string>;
};

/** What verbs work with; put together in daemon/compose/. */
export type LifecycleServices = {
  vms: VmStore;
  manifests: VmManifests;
  images: ImageStore;
  /** Names of images that are being made. */
  imageNames: Set<string>;
  operations: Operations;
  locks: KeyedLock;
  machines: Machines;
  /** For looks at the clocks of guests. */
  clockTimer: Timer;
  reboots: Reboots;
  retries: Retries;
  drivers: Drivers;
  names: NamePort;
  host: HostPort;
  /** @throws BUNDLE_MISSING, NOT_FOUND */
  resolveImage(reference: string | undefined): Promise<Image>;
  /** What guests of builds are provisioned with. */
  provisionSources: ProvisionSources;
  /** Those that images can be made of from their packages alone, by name. */
  distributions: ReadonlyMap<string, Distribution>;
  /** Makes a root file system and a work seed of an image that is not banger's own. */
  readForeignImage(request: Omit<ImportRequest, 'host'>): Promise<ImportedFacts>;
  hostTrust: HostTrustSource;
  connectAgent(machine: Machine): AgentClient;
  clockJumps: ClockJumps;
  makeSshHostKey(): SshHostKey;
  /** Public key that may log in as root. */
  clientPublicKey(): Promise<string>;
  randomBase64(bytes: number): string;
  now(): Date;
  newId(): string;
  newName(): string;
  pathsOf(vm: Pick<Vm, 'id'>): VmPaths;
  imagePathsOf(image: Pick<Image, 'id'>): ImagePaths;
  settings: LifecycleSettings;
  warn(message: string, facts: Record<string, unknown>): void;
};

/** Checks of the whole host, for doctor. */
export type CheckSource = () => Promise<Verdict[]>;
