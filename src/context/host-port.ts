// What verbs do to the machine, by who does it; handed in so that tests can break it.
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
  publishDirectory(from: string, to: string): Promise<void>;
  fileSize(path: string): Promise<{ bytes: number; allocatedBytes: number }>;
  freeBytes(path: string): Promise<number>;
  fileSystemSize(path: string): Promise<{ totalBytes: number; freeBytes: number }>;
};

/** What images are made of: files with a file system in them. The disks of VMs are those of the storage drivers. */
export type DiskPort = {
  reflink(from: string, to: string): Promise<boolean>;
  sparseCopy(from: string, to: string, signal?: AbortSignal): Promise<void>;
  /** Of a file system that no machine uses; what can be repaired is. */
  checkExt4(path: string, signal?: AbortSignal): Promise<void>;
  shrinkExt4(path: string, spareBytes: number, signal?: AbortSignal): Promise<void>;
};

/** Processes, programs and connections of this host. */
export type ProcessPort = {
  /** @param searchPath directories with colons between them */
  findProgram(name: string, searchPath: string): Promise<string | undefined>;
  commandEnvironment(): Record<string, string>;
  /** @returns why programs that read foreign data cannot be run here, and what mends it */
  confinementProblem(): Promise<{ reason: string; remedy: string } | undefined>;
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

export type HostPort = FilePort & DiskPort & ProcessPort;
