// Types and limits of docs/agent-protocol.md.

export type Personalization = {
  hostname: string;
  /** Extra lines of /etc/hosts. */
  hosts: string[];
  network: { address: string; prefixLength: number; gateway: string | null; nameservers: string[]; mtu: number } | null;
  authorizedKeys: string[];
  sshHostKey: { private: string; public: string } | null;
  /** 32 hex digits. */
  machineId: string;
  /** base64 of at least 32 bytes from the host. */
  randomSeed: string;
  /** The host's clock when it is sent: a guest that is waited for boots for seconds. */
  unixMs: 'now';
  mounts: { device: string; path: string; type: 'ext4' }[];
  growRoot: boolean;
  /** What an image without an init runs; absent where the image brings one. */
  service?: { argv: string[]; env: Record<string, string>; user: string | null; directory: string | null; stopSignal?: number };
};

/** What a guest could not set up, from the answer to `POST /personalize`. */
export type GuestTrouble = {
  what: string;
  /** Of Linux. */
  errno: number;
  /** How it is all the same. */
  held: 'memory' | 'read-only' | null;
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
  /** What the guest's file systems say of themselves. */
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
