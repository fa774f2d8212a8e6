import { confinementProblem, runConfined } from './confined.ts';
import { CONFINED_SEARCH_PATH, confinedPath, SCRATCH } from './confinement.ts';
import * as ext4 from './ext4.ts';
import { makeFifos, openFifo } from './fifo.ts';
import * as files from './files.ts';
import * as connections from './connections.ts';
import { feedUnpacked, openUnpacked } from './packed.ts';
import * as ports from './ports.ts';
import * as processes from './processes.ts';
import { receiveFile } from './receive-file.ts';
import { openRotatingLog } from './rotating-log.ts';
import { listenInStead } from './stand-in.ts';
import { connectUnix } from './unix-socket.ts';
import { sparseCopy } from './sparse-copy.ts';
import { commandEnvironment, run, spawnDetached } from './spawn.ts';

/** All access to the machine, as one value that drivers get, so that tests can pass another. */
export const realHost = {
  run,
  runConfined,
  confinedPath,
  confinedScratch: SCRATCH,
  confinedSearchPath: CONFINED_SEARCH_PATH,
  confinementProblem,
  spawnDetached,
  commandEnvironment,
  openRotatingLog,
  feedUnpacked,
  openUnpacked,
  listenInStead,
  receiveFile,
  sparseCopy,
  makeFifos,
  openFifo,
  connectUnix,
  ...processes,
  ...files,
  ...ext4,
  ...connections,
  ...ports,
};
export type Host = typeof realHost;
