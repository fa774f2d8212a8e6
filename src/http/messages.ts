// What the daemon and the process of the HTTP front tell each other, beside the sockets themselves.

/** A TCP port of a guest, and the one of the VM's address that leads to it. */
export type Port = { guestPort: number; hostPort: number };

/** VMs that run, as pairs: name and address, address and what is reached there. */
export type TableMessage = { names: [string, string][]; ports: [string, readonly Port[]][] };

/** The same, asked by names that strangers make up. */
export type Table = { names: ReadonlyMap<string, string>; ports: ReadonlyMap<string, readonly Port[]> };

export type ToFront =
  | { type: 'table'; table: TableMessage }
  /** With a listening socket: from now on its connections are served there. */
  | { type: 'listen'; address: string }
  | { type: 'close'; address: string }
  /** With a connection that came before that. */
  | { type: 'connection' }
  | { type: 'answer'; id: number; standing: Standing };

/** About a name that is not in the table. `wake`: a person asked for it to be started. */
export type FromFront = { type: 'ask'; id: number; name: string; wake: boolean };

/** How it is with a VM that is not in the table. asleep: stopped, and a person may start it from a page. */
export type Standing = 'unknown' | 'stopped' | 'asleep' | 'starting';
