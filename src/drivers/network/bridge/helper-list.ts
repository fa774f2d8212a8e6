/** The root helper as this driver needs it: one request line, the data lines of its answer. */
export type BridgeHelper = {
  /** @throws NETWORK_FAILED with the errno's name in details.errno; PREREQUISITE_MISSING when no helper answers */
  ask(request: string): Promise<string[]>;
};

/** What `list` of the root helper says about networks (head of native/helper/network.c); undefined where the host has none. */
export type HelperList = {
  /** Root is told of everybody's. */
  taps: { shortId: string; uid: number; isCutOff: boolean }[];
  /** The link that leads out. */
  uplink: string | undefined;
  /** The name server that guests are sent to. */
  resolver: string | undefined;
  /** A chain of somebody else that drops what is forwarded, FAMILY/TABLE/CHAIN. */
  droppedBy: string | undefined;
};

/** @returns as whom the helper knows us. @param lines of the answer to `hello` */
export function parseOwnUid(lines: readonly string[]): number {
  return Number(/^hello .*\buid=(\d+)\b/.exec(lines[0] ?? '')?.[1]);
}

/** @param lines of the answer; lines about other things are passed over */
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
