/** What this driver needs of the root helper: one request line, the data lines of its reply. */
export type BridgeHelper = {
  /** @throws NETWORK_FAILED with the errno's name in details.errno; PREREQUISITE_MISSING if no helper answers */
  ask(request: string): Promise<string[]>;
};

/** The networks in the root helper's reply to `list` (head of native/helper/network.c); undefined if the host has none. */
export type HelperList = {
  /** Root sees the networks of all users. */
  taps: { shortId: string; uid: number; isCutOff: boolean }[];
  /** The link to the outside. */
  uplink: string | undefined;
  /** The name server that guests use. */
  resolver: string | undefined;
  /** A foreign chain that drops forwarded packets, FAMILY/TABLE/CHAIN. */
  droppedBy: string | undefined;
};

/** @returns the user as whom the helper knows this daemon. @param lines of the reply to `hello` */
export function parseOwnUid(lines: readonly string[]): number {
  return Number(/^hello .*\buid=(\d+)\b/.exec(lines[0] ?? '')?.[1]);
}

/** @param lines of the reply; lines about other things are skipped */
export function parseList(lines: readonly string[]): HelperList {
  const network = lines.find((line) => line.startsWith('network ')) ?? '';
  const value = (name: string): string | undefined => {
    const found = new RegExp(` ${name}=(\\S+)`).exec(network)?.[1];
    return found === '-' ? undefined : found;
  };
  return {
    taps: lines.flatMap((line) => {
      const [, shortId, uid] = /^tap ([0-9a-f]{8}) uid=(\d+) /.exec(line) ?? [];
      return shortId === undefined ? [] : [{ shortId, uid: Number(uid), isCutOff: line.endsWith(' cut-off') }];
    }),
    uplink: value('uplink'),
    resolver: value('resolver'),
    droppedBy: value('dropped-by'),
  };
}
