// The zone: what the name server answers, from the question and the records. It has no sockets.
import { LOOPBACK_PREFIX } from '../model/network.ts';
import type { Answer, DecodedPacket, Packet, Question, SoaAnswer } from 'dns-packet';
import { AUTHORITATIVE_ANSWER, RECURSION_DESIRED } from 'dns-packet';

/** VM name → its loopback address. */
export type ZoneRecords = ReadonlyMap<string, string>;

const ZONE = 'vm';
/** Caches follow changes of VMs within this time. */
const TTL_SECONDS = 1;
const SOA_TTL_SECONDS = 5;
const NAME_SERVER = 'ns.vm';
/** Reverse names of the VMs' loopback addresses, 127.213.0.0/16. */
const REVERSE_ZONE = '213.127.in-addr.arpa';

const NOERROR = 0;
const FORMERR = 1;
const NOTIMP = 4;
const NXDOMAIN = 3;
const REFUSED = 5;
/** RFC 6891 */
const BADVERS_EXTENDED = 1;
const UDP_PAYLOAD_BYTES = 1232;

/**
 * Answers one query from the zone `vm.` and its reverse zone.
 * @param serial of the SOA; grows with each change of the records
 * @returns the response, or undefined for a message that is no query (RFC 1035 §4.1.1)
 */
export function answerQuery(query: DecodedPacket, records: ZoneRecords, serial: number): Packet | undefined {
  if (query.type !== 'query') return undefined;
  const questions = query.questions ?? [];
  const flags = (query.flags ?? 0) & RECURSION_DESIRED;
  const base = { type: 'response', id: query.id ?? 0, questions } as const;
  const opt = (query.additionals ?? []).find((record) => record.type === 'OPT');
  const additionals: Answer[] = opt === undefined ? [] : [optRecord(0)];
  const opcode = ((query.flags ?? 0) >> 11) & 15;
  if (opcode !== 0) return { ...base, flags: flags | NOTIMP, additionals };
  const [question] = questions;
  if (question === undefined || questions.length !== 1) return { ...base, flags: flags | FORMERR, additionals };
  if (opt !== undefined && 'ednsVersion' in opt && opt.ednsVersion !== 0) {
    return { ...base, flags, additionals: [optRecord(BADVERS_EXTENDED)] };
  }
  const found = lookUp(question, records, serial);
  const authority = found.rcode === REFUSED ? 0 : AUTHORITATIVE_ANSWER;
  return { ...base, flags: flags | authority | found.rcode, answers: found.answers, authorities: found.authorities, additionals };
}

function optRecord(extendedRcode: number): Answer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: UDP_PAYLOAD_BYTES,
    extendedRcode,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
}

type Found = { rcode: number; answers: Answer[]; authorities: Answer[] };

function lookUp(question: Question, records: ZoneRecords, serial: number): Found {
  const name = question.name.toLowerCase().replace(/\.$/, '');
  const zone = [ZONE, REVERSE_ZONE].find((z) => name === z || name.endsWith(`.${z}`));
  const isInternet = question.class === undefined || question.class === 'IN' || question.class === 'ANY';
  if (zone === undefined || !isInternet) return { rcode: REFUSED, answers: [], authorities: [] };
  const soa = soaOf(zone, serial);
  // The owner has the case of the question, because resolvers check it (0x20).
  const existing = name === zone ? apexRecords(question.name, soa) : recordsOf(name, zone, question.name, records);
  if (existing === undefined) return { rcode: NXDOMAIN, answers: [], authorities: [soa] };
  // dns-packet does not type QTYPE 255 as a record type.
  const isAny = (question.type as string) === 'ANY';
  const answers = existing.filter((record) => isAny || record.type === question.type);
  return { rcode: NOERROR, answers, authorities: answers.length === 0 ? [soa] : [] };
}

/** @returns the records of a name, undefined if the name does not exist */
function recordsOf(name: string, zone: string, owner: string, records: ZoneRecords): Answer[] | undefined {
  if (zone === REVERSE_ZONE) return reverseRecords(name, owner, records);
  if (name === NAME_SERVER && !records.has('ns')) return [{ type: 'A', name: owner, ttl: TTL_SECONDS, class: 'IN', data: '127.0.0.1' }];
  // Every name below a VM's name leads to the VM, where web servers distinguish their sites by name.
  const vmName =
    name
      .slice(0, -(ZONE.length + 1))
      .split('.')
      .at(-1) ?? '';
  const address = records.get(vmName);
  return address === undefined ? undefined : [{ type: 'A', name: owner, ttl: TTL_SECONDS, class: 'IN', data: address }];
}

function reverseRecords(name: string, owner: string, records: ZoneRecords): Answer[] | undefined {
  const labels = name
    .slice(0, -(REVERSE_ZONE.length + 1))
    .split('.')
    .reverse();
  const prefix = `${LOOPBACK_PREFIX}.${labels.join('.')}`;
  const holders = [...records].filter(([, address]) => address === prefix);
  if (holders.length > 0) {
    return holders.map(([vm]) => ({ type: 'PTR', name: owner, ttl: TTL_SECONDS, class: 'IN', data: `${vm}.${ZONE}` }));
  }
  // A name between the zone and an existing name exists, without records (RFC 8020).
  const isBetween = labels.length === 1 && [...records.values()].some((address) => address.startsWith(`${prefix}.`));
  return isBetween ? [] : undefined;
}

function apexRecords(owner: string, soa: SoaAnswer): Answer[] {
  return [
    { ...soa, name: owner },
    { type: 'NS', name: owner, ttl: SOA_TTL_SECONDS, class: 'IN', data: NAME_SERVER },
  ];
}

function soaOf(zone: string, serial: number): SoaAnswer {
  return {
    type: 'SOA',
    name: zone,
    ttl: SOA_TTL_SECONDS,
    class: 'IN',
    data: {
      mname: NAME_SERVER,
      rname: `hostmaster.${ZONE}`,
      serial: serial >>> 0,
      refresh: 60,
      retry: 60,
      expire: 3600,
      minimum: TTL_SECONDS,
    },
  };
}
