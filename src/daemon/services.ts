import type { DaemonStatus, Stats } from '../api/schemas.ts';
import type { FrontPorts } from '../http/front.ts';
import type { SchemeProbe } from '../http/probe.ts';
import type { OperationRecord } from '../model/operation.ts';
import type { BundleWork } from '../lifecycle/bundle/work.ts';
import type { DoctorWork } from '../lifecycle/health/doctor.ts';
import type { LifecycleServices } from '../context/services.ts';
import type { OpenSessions } from './open-sessions.ts';

/** What the routes work with, by subject: what verbs work with, and what only the daemon does. */
export type DaemonServices = LifecycleServices & {
  bundle: BundleWork;
  health: DoctorWork;
  daemon: DaemonItself;
  reach: Reach;
};

type DaemonItself = {
  status(): Promise<DaemonStatus>;
  /** Measures for some 200 ms, or since the last request. */
  stats(): Promise<Stats>;
  /** In the format of Prometheus. */
  metrics(): Promise<{ text: string; contentType: string }>;
  /** Suspends or stops the VMs, as the configuration says. */
  prepareShutdown(): OperationRecord;
  /** Ends the daemon after the reply is sent; VMs continue. */
  requestShutdown(): void;
};

/** How VMs are reached, and by whom. */
type Reach = {
  clientPrivateKeyPath(): Promise<string>;
  /** Tells HTTP from HTTPS; results are in the order of the questions. */
  probeSchemes: SchemeProbe;
  /** The ports on which the HTTP front serves the VM of this address by name. */
  httpPortsOf(address: string): FrontPorts;
  /** Open exec sessions, ssh logins, copies and logs. */
  sessions: OpenSessions;
};
