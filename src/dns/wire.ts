// Bytes in, bytes out: decodes a query, looks it up in the zone, encodes the reply within the client's size limit.
import type { Packet } from 'dns-packet';
import { TRUNCATED_RESPONSE, decode, encode } from 'dns-packet';
import { type ZoneRecords, answerQuery } from './zone.ts';

/** The limit of a datagram without EDNS (RFC 1035 §2.3.4). */
const PLAIN_UDP_BYTES = 512;
/** The limit of a datagram, whatever the client offers. */
const MAX_UDP_BYTES = 4096;
const HEADER_BYTES = 12;
const FORMERR = 1;

/**
 * @param query one message, as untrusted bytes
 * @param transport over UDP, a reply that is too long is truncated and marked, so that the client asks again over TCP
 * @returns the reply, or undefined if there must be none: for responses, and messages too short to have an id
 */
export function answerBytes(query: Buffer, records: ZoneRecords, serial: number, transport: 'udp' | 'tcp'): Buffer | undefined {
  if (query.length < HEADER_BYTES) return undefined;
  // A response never gets a reply, or two servers could answer each other for ever.
  if ((query.readUInt8(2) & 0x80) !== 0) return undefined;
  let response: Packet | undefined;
  let limitBytes = PLAIN_UDP_BYTES;
  try {
    const packet = decode(query);
    const opt = (packet.additionals ?? []).find((record) => record.type === 'OPT');
    if (opt !== undefined && 'udpPayloadSize' in opt) limitBytes = Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, opt.udpPayloadSize));
    response = answerQuery(packet, records, serial);
    if (response === undefined) return undefined;
    const bytes = encode(response);
    if (transport === 'tcp' || bytes.length <= limitBytes) return bytes;
    return encode({ ...response, flags: (response.flags ?? 0) | TRUNCATED_RESPONSE, answers: [], authorities: [] });
  } catch {
    return formatError(query);
  }
}

/** @returns a bare header: id, opcode and RD of the query, FORMERR. */
function formatError(query: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  header.writeUInt8(0x80 | (query.readUInt8(2) & 0x79), 2);
  header.writeUInt8(FORMERR, 3);
  return header;
}
