import type { BundleStatus, DaemonStatus, Stats } from '../api/schemas.ts';
import type { LifecycleServices } from '../lifecycle/services.ts';
import type { OperationRecord } from '../model/operation.ts';
import type { Verdict } from '../model/verdict.ts';

/** What the routes work with. */
export type DaemonServices = LifecycleServices & {
  clientPrivateKeyPath(): Promise<string>;
  status(): Promise<DaemonStatus>;
  /** Measures for some 200 ms, or since the last request. */
  stats(): Promise<Stats>;
  doctor(signal: AbortSignal): Promise<Verdict[]>;
  bundleStatus(): Promise<BundleStatus>;
  buildBundle(options: { force: boolean }): OperationRecord;
  defaultImageName: string;
  /** Ends the daemon after the reply is out; VMs go on. */
  requestShutdown(): void;
};
