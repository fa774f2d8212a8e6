// The namespace's nftables rules as text; `nft -f -` applies all of them atomically. banger has two tables: `bridge banger` lets a TAP send
// only with its VM's MAC and IPv4 address, `ip banger` says who may reach what. Sets say what each VM may do, so adding or removing a VM
// only changes elements, and the kernel is the record.
import {
  BRIDGE_ADDRESS,
  DNS_FORWARD_ADDRESS,
  FORBIDDEN_DESTINATIONS,
  GUEST_PREFIX_LENGTH,
  PRIVATE_NETWORK,
} from '../../../model/network.ts';
import type { VmAddresses } from '../../../model/network.ts';
import { HOST_NAME_PREFIX } from '../../../model/vm.ts';

const { bridge: BRIDGE_NAME, uplink: UPLINK_NAME, outboundPort: OUTBOUND_PORT, outboundMark: OUTBOUND_MARK } = PRIVATE_NETWORK;
const GUEST_NETWORK = `${BRIDGE_ADDRESS}/${GUEST_PREFIX_LENGTH}`;
const TO_LISTENER = `tproxy to :${OUTBOUND_PORT} meta mark set ${OUTBOUND_MARK} accept`;

/** @returns the TAP name of a VM. @param shortId eight hex digits */
export function tapNameOf(shortId: string): string {
  return `${HOST_NAME_PREFIX}${shortId}`;
}

/** @returns the rules without any VM; applying them again keeps the sets' elements */
export function baseRuleset(): string {
  return [
    'add table bridge banger',
    'add set bridge banger guests { typeof iifname . ether saddr . ip saddr; }',
    'add chain bridge banger prerouting { type filter hook prerouting priority -300; policy accept; }',
    'flush chain bridge banger prerouting',
    'add rule bridge banger prerouting iifname != "bgr-*" accept',
    'add rule bridge banger prerouting iifname . arp saddr ether . arp saddr ip @guests iifname . ether saddr . arp saddr ip @guests accept',
    'add rule bridge banger prerouting iifname . ether saddr . ip saddr @guests accept',
    'add rule bridge banger prerouting drop',
    'add table ip banger',
    'add set ip banger nat { type ipv4_addr; }',
    // Outgoing packets are not tracked: the forwarder has its own records, and guests cannot fill the kernel's table.
    'add chain ip banger untracked { type filter hook prerouting priority -300; policy accept; }',
    'flush chain ip banger untracked',
    `add rule ip banger untracked iifname "${UPLINK_NAME}" notrack`,
    `add rule ip banger untracked iifname "${BRIDGE_NAME}" ip daddr != ${GUEST_NETWORK} notrack`,
    'add chain ip banger answers { type filter hook output priority -300; policy accept; }',
    'flush chain ip banger answers',
    `add rule ip banger answers ip saddr != ${GUEST_NETWORK} notrack`,
    // A guest's SYN goes to the uplink; the forwarder writes it back there once the outside has accepted the connection. Only then does the
    // transparent listener get it, and with it all later packets of the connection.
    'add chain ip banger outbound { type filter hook prerouting priority -150; policy accept; }',
    'flush chain ip banger outbound',
    `add rule ip banger outbound iifname "${UPLINK_NAME}" ip saddr @nat tcp flags & (fin | syn | rst | ack) == syn ${TO_LISTENER}`,
    `add rule ip banger outbound iifname "${BRIDGE_NAME}" ip daddr != ${GUEST_NETWORK} ip saddr @nat tcp flags & (fin | syn | rst | ack) != syn ${TO_LISTENER}`,
    // Connections that guests opened, replies to the forwarder's connections, and ping; nothing else in the namespace is reachable.
    'add chain ip banger input { type filter hook input priority 0; policy drop; }',
    'flush chain ip banger input',
    'add rule ip banger input iifname "lo" accept',
    `add rule ip banger input meta mark ${OUTBOUND_MARK} accept`,
    'add rule ip banger input ct state established,related accept',
    `add rule ip banger input iifname "${BRIDGE_NAME}" ip daddr ${BRIDGE_ADDRESS} icmp type echo-request accept`,
    'add chain ip banger forward { type filter hook forward priority 0; policy drop; }',
    'flush chain ip banger forward',
    // If br_netfilter is loaded, bridged frames also come here.
    `add rule ip banger forward iifname "${BRIDGE_NAME}" oifname "${BRIDGE_NAME}" accept`,
    `add rule ip banger forward iifname "${UPLINK_NAME}" oifname "${BRIDGE_NAME}" accept`,
    `add rule ip banger forward iifname != "${BRIDGE_NAME}" drop`,
    `add rule ip banger forward ip daddr ${DNS_FORWARD_ADDRESS} meta l4proto { tcp, udp } th dport 53 ip saddr @nat accept`,
    `add rule ip banger forward ip daddr { ${FORBIDDEN_DESTINATIONS.join(', ')} } drop`,
    `add rule ip banger forward oifname "${UPLINK_NAME}" ip saddr @nat accept`,
    '',
  ].join('\n');
}

type GuestKey = { tapName: string; macAddress: string; guestAddress: string };

/** @returns commands that admit one VM; they override the rights of an earlier VM with the same address */
export function admitGuest(shortId: string, addresses: VmAddresses, nat: boolean): string {
  const { guestAddress, macAddress } = addresses;
  const lines = [
    `add element bridge banger guests ${guestElement({ tapName: tapNameOf(shortId), macAddress, guestAddress })}`,
    `add element ip banger nat { ${guestAddress} }`,
  ];
  if (!nat) lines.push(`delete element ip banger nat { ${guestAddress} }`);
  return `${lines.join('\n')}\n`;
}

/** @returns commands that remove VMs; each element is added first, because deleting a missing one is an error */
export function dismissGuests(guests: readonly GuestKey[]): string {
  return guests
    .flatMap((guest) => [
      `add element bridge banger guests ${guestElement(guest)}`,
      `delete element bridge banger guests ${guestElement(guest)}`,
      `add element ip banger nat { ${guest.guestAddress} }`,
      `delete element ip banger nat { ${guest.guestAddress} }`,
    ])
    .map((line) => `${line}\n`)
    .join('');
}

function guestElement(guest: GuestKey): string {
  return `{ "${guest.tapName}" . ${guest.macAddress} . ${guest.guestAddress} }`;
}

/**
 * Reads the set of admitted guests.
 * @param json output of `nft -j list set bridge banger guests` (libnftables-json(5))
 */
export function parseGuests(json: string): GuestKey[] {
  const document = JSON.parse(json) as { nftables?: { set?: { elem?: unknown[] } }[] };
  const elements = (document.nftables ?? []).flatMap((entry) => entry.set?.elem ?? []);
  return elements.flatMap((element) => {
    const parts = (element as { concat?: unknown }).concat;
    if (!Array.isArray(parts) || parts.length !== 3 || !parts.every((part) => typeof part === 'string')) return [];
    const [tapName, macAddress, guestAddress] = parts as [string, string, string];
    return [{ tapName, macAddress, guestAddress }];
  });
}
