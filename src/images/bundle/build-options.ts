import type { Host } from '../../host/host.ts';
import type { StageEvent } from './step-cache.ts';

export type BuildProgress = {
  stage: string;
  /** The present activity, for people. */
  text: string;
  /** 0 … 1 of this stage. */
  fraction: number;
};

export type BuildOptions = {
  /** The bundle's directory, which may not exist yet. */
  directory: string;
  /** Holds `agent`, `forwarder` and `images/debian`; only read. */
  sourceRoot: string;
  /** For the build's log (`build.log`) and intermediate results (`steps/`), from which a later build continues. */
  cacheDirectory: string;
  host: Host;
  signal: AbortSignal;
  /** Rebuild everything, with the newest packages. */
  force: boolean;
  onStage: (event: StageEvent) => void;
  onProgress: (progress: BuildProgress) => void;
  /** Gets every line that the tools print. */
  onLog: (line: string) => void;
};
