/** Bounds of what a user may ask for. Reasons beside each. */
export const LIMITS = {
  /** Firecracker takes 1 to 32 (its machine-config API). */
  vcpuCount: { min: 1, max: 32 },
  /** Debian's kernel and systemd need about 100 MiB to boot; the top is what one host can plausibly hold. */
  memoryMib: { min: 128, max: 1_048_576 },
  /** ext4 with a journal wants some room; 16 TiB is its limit with 4 KiB blocks. */
  diskBytes: { min: 64 * 1024 ** 2, max: 16 * 1024 ** 4 },
  /** File systems and overlays want whole sectors; nobody means less than a MiB here. */
  diskStepBytes: 1024 ** 2,
  /** RFC 1035 label. */
  nameLength: { min: 1, max: 63 },
} as const;

/** What a VM gets when the user says nothing; config.toml overrides. */
export const DEFAULT_SPEC = {
  vcpuCount: 2,
  memoryMib: 1024,
  workDiskBytes: 8 * 1024 ** 3,
  rootOverlayBytes: 8 * 1024 ** 3,
  nat: true,
} as const;

/** A package of Debian, with an architecture or without, or of Void. */
export const PACKAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9_+.-]*(:[a-z0-9]+)?$/;
