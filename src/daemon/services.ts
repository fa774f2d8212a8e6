import type { BundleStatus, DaemonStatus, DoctorFix, DoctorReport, Stats } from '../api/schemas.ts';
import type { FrontPorts } from '../http/front.ts';
import type { SchemeProbe } from '../http/probe.ts';
import type { LifecycleServices } from '../lifecycle/services.ts';
import type { Image } from '../model/image.ts';
import type { OperationRecord } from '../model/operation.ts';
import type { OpenSessions } from './open-sessions.ts';

/** Where a packaged bundle is: its runtime-bundle.toml, and what that file must be. */
export type BundleSource = { manifestUrl: string; manifestSha256?: string };

/** What the routes work with. */
export type DaemonServices = LifecycleServices & {
  clientPrivateKeyPath(): Promise<string>;
  status(): Promise<DaemonStatus>;
  /** Measures for some 200 ms, or since the last request. */
  stats(): Promise<Stats>;
  /** In the form that Prometheus reads. */
  metrics(): Promise<{ text: string; contentType: string }>;
  doctor(signal: AbortSignal): Promise<DoctorReport>;
  doctorFix(signal: AbortSignal): Promise<DoctorFix>;
  bundleStatus(): Promise<BundleStatus>;
  /** @param options.programs absolute paths, copied into the bundle */
  buildBundle(options: { force: boolean; programs?: { firecracker: string; jailer?: string } }): OperationRecord;
  /** @param release default: the pinned one */
  fetchFirecracker(release?: { url: string; sha256: string }): OperationRecord;
  /** @param source default: the installation's. @throws UNSUPPORTED when it has none */
  fetchBundle(source?: BundleSource): OperationRecord;
  /** @param options.path absolute, of the archive */
  packageBundle(options: { path: string; url?: string }): OperationRecord;
  /** Tells HTTP from HTTPS, in the order of the questions. */
  probeSchemes: SchemeProbe;
  /** The ports at which the VM of this address is reached over HTTP by name. */
  httpPortsOf(address: string): FrontPorts;
  defaultImageName: string;
  /** Whether the manifest of an image's packages or the agent has changed since, and what makes a fresh one. */
  imageFreshness(image: Image): Promise<{ stale: boolean; agentOutdated: boolean; rebuildCommand: string | null }>;
  openSessions: OpenSessions;
  /** Ends the daemon after the reply is out; VMs go on. */
  requestShutdown(): void;
};
