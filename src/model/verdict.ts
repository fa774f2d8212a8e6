/** Whether this host can do something, and why; the unit of `doctor` and of automatic choices. */
export type Verdict = {
  /** Stable name, e.g. `kvm`, `network.private`, `storage.reflink`. */
  name: string;
  /** `warn`: works, with something lost. */
  level: 'pass' | 'warn' | 'fail';
  /** One sentence with the fact that decided. */
  reason: string;
  /** What mends it, ready to paste where possible. */
  remedy?: string;
  /** Name of the VM that it is about. */
  vm?: string;
};
