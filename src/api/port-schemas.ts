// Ports of guests, and the host ports that lead to them.
import { z } from 'zod';

const protocol = z.enum(['tcp', 'udp']);
const port = z.number().int().min(1).max(65_535);
const ipv4 = z.string().regex(/^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/, 'must be an IPv4 address');

export const portForwardSchema = z
  .strictObject({
    protocol,
    hostAddress: ipv4.describe('of the host; 0.0.0.0 for all, so also for other machines'),
    hostPort: port,
    guestPort: port,
  })
  .meta({ id: 'PortForward' });

/** A forward and its present state. */
export const portForwardViewSchema = z
  .strictObject({
    ...portForwardSchema.shape,
    vm: z.string(),
    open: z.boolean().describe('whether the port is open; it is while the VM runs'),
    problem: z.string().nullable(),
  })
  .meta({ id: 'PortForwardView' });

export const guestPortSchema = z
  .strictObject({
    protocol,
    address: z.string().describe('that it listens on, in the guest'),
    port: z.number(),
    pid: z.number(),
    process: z.string(),
    command: z.string(),
    hostAddress: z.string().nullable(),
    hostPort: z.number().nullable().describe('differs from port if ordinary users may not open a low port'),
    problem: z.string().nullable(),
    scheme: z.enum(['http', 'https']).nullable().describe('protocol that the probe found'),
    url: z.string().nullable().describe('by address'),
    nameUrl: z.string().nullable().describe('by name, through the HTTP front'),
    localhostUrl: z.string().nullable().describe('URL by a name that needs no set-up, through the HTTP front'),
    forwards: z.array(z.strictObject({ hostAddress: z.string(), hostPort: z.number(), open: z.boolean() })).describe('of vm forward'),
  })
  .meta({ id: 'GuestPort' });

export type GuestPortView = z.infer<typeof guestPortSchema>;
export type PortForwardView = z.infer<typeof portForwardViewSchema>;
export type PortForwardBody = z.infer<typeof portForwardSchema>;
