// Messages between the daemon and the process of the HTTP front, besides the sockets themselves.

/** A TCP port of a guest, and the port of the VM's address that leads to it. */
export type Port = { guestPort: number; hostPort: number };

/** Running VMs, as pairs: name and address, address and its reachable ports. */
export type TableMessage = { names: [string, string][]; ports: [string, readonly Port[]][] };

/** The same for requests, whose names strangers may make up. */
export type Table = { names: ReadonlyMap<string, string>; ports: ReadonlyMap<string, readonly Port[]> };

export type ToFront =
  | { type: 'table'; table: TableMessage }
  /** Comes with a listening socket: from now on the process serves its connections. */
  | { type: 'listen'; address: string }
  | { type: 'close'; address: string }
  /** Comes with a connection that arrived before that. */
  | { type: 'connection' }
  | { type: 'answer'; id: number; standing: Standing };

/** Asks about a name that is not in the table. `wake`: a person asked to start the VM. */
export type FromFront = { type: 'ask'; id: number; name: string; wake: boolean };

/** The state of a VM that is not in the table. asleep: stopped, and a person may start it from a page. */
export type Standing = 'unknown' | 'stopped' | 'asleep' | 'starting';
