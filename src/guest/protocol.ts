// Types and limits of docs/agent-protocol.md.

export type Personalization = {
  hostname: string;
  /** Extra lines of /etc/hosts. */
  hosts: string[];
  /** `macAddress` is for a restored guest: its network card has the MAC of the snapshot. */
  network: {
    address: string;
    prefixLength: number;
    gateway: string | null;
    nameservers: string[];
    mtu: number;
    macAddress?: string;
  } | null;
  authorizedKeys: string[];
  sshHostKey: { private: string; public: string } | null;
  /** 32 hex digits. */
  machineId: string;
  /** base64 of at least 32 bytes from the host. */
  randomSeed: string;
  /** The host's time when the request is sent: a booting guest may take seconds until then. */
  unixMs: 'now';
  mounts: { device: string; path: string; type: 'ext4' }[];
  growRoot: boolean;
  /** Whether the guest continues from a snapshot: its earlier sessions are gone. */
  restored?: true;
  /** The program of an image without an init; absent if the image has an init. */
  service?: { argv: string[]; env: Record<string, string>; user: string | null; directory: string | null; stopSignal?: number };
};

/** A part that a guest could not set up. */
export type GuestTrouble = {
  what: string;
  /** A Linux errno. */
  errno: number;
  /** How the guest works around it. */
  held: 'memory' | 'read-only' | null;
};

/** The answer to `POST /personalize`. */
export type Personalized = {
  troubles: GuestTrouble[];
  /** Whether people can log in by ssh; absent where an older agent does not say. */
  hasSshServer?: boolean | undefined;
};

export type ExecRequest = {
  argv: string[];
  env?: Record<string, string>;
  cwd?: string;
  tty?: boolean;
  rows?: number;
  columns?: number;
  user?: string;
};

export type AgentHealth = {
  status: 'ok';
  phase: 'initramfs' | 'running';
  personalized: boolean;
  uptimeMs: number;
  init: 'starting' | 'running' | 'degraded' | 'maintenance' | 'unknown';
};

export type AgentInfo = {
  agentVersion: string;
  hostname: string;
  kernel: string;
  initSystem: 'systemd' | 'runit' | 'none';
  bootId: string;
  memoryTotalKib: number;
  memoryAvailableKib: number;
  cpuCount: number;
  loadAverage1: number;
  sessions: number;
  /** The usage of the guest's file systems. */
  disks?: { path: string; sizeBytes: number; usedBytes: number }[] | undefined;
};

export type GuestPort = {
  protocol: 'tcp' | 'udp';
  address: string;
  port: number;
  pid: number;
  process: string;
  command: string;
};
