// Routes of VMs: reading their records, and the verbs. Each verb is an operation.
import { z } from 'zod';
import { LIMITS, VMM_SIGNALS } from '../../model/limits.ts';
import { declareRoutes, HOST_ERRORS, IMAGE_ERRORS, json, operation, WAKE_ERRORS } from '../route.ts';
import { createVmSchema, healthSchema, setVmSchema, sshAccessSchema, sshLoginSchema, vmSchema } from '../schemas.ts';

const YEAR_MS = 366 * 86_400_000;
const waitFor = z.enum(['agent', 'ssh', 'services']).optional().describe('readiness to wait for, default services');
const rescue = z.boolean().optional().describe("whether the image's own system runs beside the VM's own disks");
const discardMemory = z.boolean().optional().describe('boot a suspended VM from its disks; its memory is lost');
const graceMs = z.number().int().min(0).max(3_600_000).optional().describe('time for its guest to shut down');
const forkNames = z.array(z.string()).min(LIMITS.forks.min).max(LIMITS.forks.max).describe('of the new VMs');
const signal = z.enum(VMM_SIGNALS).optional();

const waitQuery = z.strictObject({
  for: z.enum(['agent', 'ssh', 'services', 'running', 'paused', 'stopped', 'suspended']).default('services'),
  timeoutMs: z
    .string()
    .regex(/^\d{1,8}$/, 'must be a whole number of milliseconds, at most 99999999')
    .transform(Number)
    .default(120_000),
});

export const VM_ROUTES = declareRoutes({
  'GET /v1/vms': { does: 'lists VMs, the oldest first', reply: json(z.array(vmSchema)), errors: [] },
  'GET /v1/vms/:ref': { does: 'shows a VM', reply: json(vmSchema), errors: [] },
  'POST /v1/vms': {
    does: 'creates a VM and starts it, unless told otherwise',
    body: createVmSchema,
    reply: operation,
    errors: ['NAME_TAKEN', ...IMAGE_ERRORS, ...HOST_ERRORS],
  },
  'POST /v1/vms/:ref/start': {
    does: 'starts a VM, or resumes a paused or suspended one',
    body: z.strictObject({ waitFor, rescue, discardMemory }).nullish(),
    reply: operation,
    errors: [],
  },
  'POST /v1/vms/:ref/stop': {
    does: 'shuts the guest down, and ends its VMM after the grace time',
    body: z.strictObject({ graceMs }).nullish(),
    reply: operation,
    errors: [],
  },
  'POST /v1/vms/:ref/pause': { does: 'stops the vCPUs of a VM', reply: operation, errors: [] },
  'POST /v1/vms/:ref/suspend': {
    does: 'saves the memory of a VM to disk and ends its VMM',
    body: z.strictObject({ endSessions: z.boolean().optional().describe('whether open sessions may end') }).nullish(),
    reply: operation,
    errors: [],
  },
  'POST /v1/vms/:ref/resume': { does: 'resumes a paused or suspended VM where it stopped', reply: operation, errors: [] },
  'POST /v1/vms/:ref/fork': {
    does: 'makes VMs with the memory and the disks of a running one, which goes on',
    body: z.strictObject({ names: forkNames }),
    reply: operation,
    errors: ['NAME_TAKEN', ...IMAGE_ERRORS, ...WAKE_ERRORS],
  },
  'POST /v1/vms/:ref/restart': {
    does: 'stops a VM and starts it again',
    body: z.strictObject({ graceMs, waitFor, rescue }).nullish(),
    reply: operation,
    errors: [],
  },
  'POST /v1/vms/:ref/kill': {
    does: 'sends a signal to the VMM, by default SIGKILL',
    body: z.strictObject({ signal }).nullish(),
    reply: operation,
    errors: [],
  },
  'POST /v1/vms/:ref/set': {
    does: 'changes a VM',
    body: setVmSchema,
    reply: operation,
    errors: ['NAME_TAKEN', ...WAKE_ERRORS],
  },
  'POST /v1/vms/:ref/keep-awake': {
    does: 'keeps a VM from being paused, suspended or stopped because nobody uses it, and wakes it if it sleeps for that',
    body: z.strictObject({ forMs: z.number().int().min(1).max(YEAR_MS).optional().describe('default: until it is released') }).nullish(),
    reply: json(vmSchema),
    errors: WAKE_ERRORS,
  },
  'DELETE /v1/vms/:ref/keep-awake': { does: 'lets a VM sleep again when nobody uses it', reply: json(vmSchema), errors: [] },
  'DELETE /v1/vms/:ref': { does: 'deletes a VM with its disks', reply: operation, errors: [] },
  'GET /v1/vms/:ref/health': { does: 'shows the health of the guest', reply: json(healthSchema), errors: [] },
  'GET /v1/vms/:ref/wait': {
    does: 'answers when the VM has reached a state',
    query: waitQuery,
    reply: json(vmSchema),
    errors: [...WAKE_ERRORS, 'TIMEOUT', 'AGENT_UNREACHABLE', 'AGENT_PROTOCOL', 'BOOT_FAILED', 'GUEST_COMMAND_NOT_FOUND'],
  },
  'GET /v1/vms/:ref/ssh': {
    does: 'shows how an SSH client reaches a VM',
    query: z.strictObject({ running: z.literal('1').optional().describe('refuse when the VM does not run') }),
    reply: json(sshAccessSchema),
    errors: WAKE_ERRORS,
  },
  'GET /v1/ssh': { does: 'shows what an SSH client needs that is the same for all VMs', reply: json(sshLoginSchema), errors: [] },
});
