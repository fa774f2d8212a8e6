// What verbs need of the machine, by subject. Passed in, so that tests can make it fail.
import type { Readable } from 'node:stream';
import type { ProcessIdentity } from '../model/vm.ts';

/** Files and directories of this installation. */
export type FilePort = {
  makePrivateDirectory(path: string): Promise<void>;
  removeTree(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  writeFileAtomic(path: string, content: string | Uint8Array, mode?: number): Promise<void>;
  readIfThere(path: string): Promise<string | undefined>;
  namesIn(path: string): Promise<string[]>;
  namesByAge(path: string): Promise<string[]>;
  readHead(path: string, bytes: number): Promise<Uint8Array>;
  sha256File(path: string, signal?: AbortSignal): Promise<string>;
  appendText(path: string, text: string): Promise<void>;
  moveFile(from: string, to: string): Promise<void>;
  openWhole(path: string): Promise<{ content: Readable; sizeBytes: number }>;
  openUnpacked(path: string): Readable;
  regularFileSize(path: string): Promise<number | undefined>;
  sync(path: string): Promise<void>;
  publishDirectory(from: string, to: string): Promise<void>;
  fileSize(path: string): Promise<{ bytes: number; allocatedBytes: number }>;
  freeBytes(path: string): Promise<number>;
  fileSystemSize(path: string): Promise<{ totalBytes: number; freeBytes: number }>;
};

/** The files of images, which hold file systems. The disks of VMs belong to the storage drivers. */
export type DiskPort = {
  reflink(from: string, to: string): Promise<boolean>;
  sparseCopy(from: string, to: string, signal?: AbortSignal): Promise<void>;
  /** For a file system that no machine uses; repairs what can be repaired. */
  checkExt4(path: string, signal?: AbortSignal): Promise<void>;
  shrinkExt4(path: string, spareBytes: number, signal?: AbortSignal): Promise<void>;
};

/** Processes, programs and connections of this host. */
export type ProcessPort = {
  /** @param searchPath directories separated by colons */
  findProgram(name: string, searchPath: string): Promise<string | undefined>;
  commandEnvironment(): Record<string, string>;
  /** @returns why programs that read foreign data cannot run here, and the remedy */
  confinementProblem(): Promise<{ reason: string; remedy: string } | undefined>;
  processUsage(identity: ProcessIdentity): Promise<{ cpuMs: number; residentBytes: number } | undefined>;
  /** Memory that new programs can get without swapping. */
  availableMemoryBytes(): Promise<number>;
  /** Lets a process yield to others, or ends that again; where the kernel cannot, nothing happens. */
  setBackground(identity: ProcessIdentity, isBackground: boolean): Promise<void>;
  endProcess(identity: ProcessIdentity, graceMs: number): Promise<boolean>;
  signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean;
  isAlive(identity: ProcessIdentity): boolean;
  bootId(): string;
  /** Every IPv4 address, local or remote, at either end of a TCP connection of this host. */
  connectedAddresses(): Promise<Set<string>>;
  /** Listens in the stead of a guest. Programs that connect wait, until they are let through or refused. */
  listenInStead(
    places: readonly { address: string; port: number }[],
    options: { isForEveryone: boolean; onCall(): void },
  ): Promise<{ readonly problems: readonly string[]; close(): Promise<void>; letThrough(): void; refuse(): void }>;
  /** Every IPv4 address on which a program of another user listens for TCP. */
  listenedByOthers(): Set<string>;
};

export type HostPort = FilePort & DiskPort & ProcessPort;
