// The contract between CLI and daemon. One schema validates requests, types the client and generates OpenAPI.
import { z } from 'zod';
import { ERROR_CODES } from '../model/errors.ts';
import { LABEL_KEY, LABEL_VALUE, LIMITS, execProblem } from '../model/limits.ts';
import { SEEN_STATES } from '../model/vm-state.ts';
import { SETTING_SCHEMAS } from './setting-schemas.ts';

export const vmSpecSchema = z.strictObject(SETTING_SCHEMAS).meta({ id: 'VmSpec' });

const labelValue = z.string().regex(LABEL_VALUE, 'must be one line of text').max(LIMITS.labels.maxValueLength);
const labelsOf = <Value extends z.ZodType>(value: Value) => z.record(z.string().regex(LABEL_KEY, 'must be a key of a label'), value);

export const createVmSchema = z
  .strictObject({
    name: z.string().max(1024).optional().describe('DNS label; made up when absent'),
    image: z.string().max(1024).optional().describe('name or id; default: the default image'),
    labels: labelsOf(labelValue).optional().describe('notes, by key'),
    ...vmSpecSchema.partial().shape,
    start: z.boolean().optional().describe('default true'),
    waitFor: z.enum(['agent', 'ssh', 'services']).optional().describe('readiness to wait for, default services'),
    cold: z.boolean().optional().describe('boot it, whatever templates there are; default false'),
  })
  .meta({ id: 'CreateVm' });

export const setVmSchema = z
  .strictObject({
    name: z.string().max(1024).optional().describe('new name, a DNS label'),
    labels: labelsOf(labelValue.nullable()).optional().describe('set by key, or removed by null; others stay'),
    ...vmSpecSchema.partial().shape,
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), 'must have at least one member')
  .meta({ id: 'SetVm' });

export const vmSchema = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    state: z.enum(SEEN_STATES),
    image: z.string(),
    spec: vmSpecSchema,
    labels: z.record(z.string(), z.string()),
    guestAddress: z.string(),
    address: z.string().describe('on the host; what <name>.vm resolves to'),
    createdAt: z.string(),
    startedAt: z.string().nullable(),
    lastUsedAt: z.string().nullable(),
    sleep: z
      .strictObject({ since: z.string(), why: z.enum(['idle', 'asked']).describe('idle: every use wakes it; asked: only a command does') })
      .nullable()
      .describe('why it is paused or suspended'),
    keepAwake: z
      .strictObject({ until: z.string().nullable().describe('null: until it is released') })
      .nullable()
      .describe('whether it is never paused or suspended for idleness'),
    hypervisor: z.string().nullable(),
    accelerator: z.string().nullable(),
    storageDriver: z.string().nullable(),
    networkDriver: z.string().nullable(),
    pid: z.number().nullable(),
    rescue: z.boolean().describe('whether it runs a rescue system beside its own disks'),
    hasSshServer: z.boolean().nullable().describe('whether its image has an SSH server; null while it has not said, as when it is stopped'),
    troubles: z
      .array(z.strictObject({ reason: z.string(), remedy: z.string() }))
      .describe('parts that could not be set up at the start; the rest runs'),
    lastError: z.string().nullable(),
    paths: z.strictObject({ directory: z.string(), serialLog: z.string(), vmmLog: z.string(), eventLog: z.string() }),
  })
  .meta({ id: 'Vm' });

export const errorSchema = z
  .strictObject({
    code: z.enum(Object.keys(ERROR_CODES) as [keyof typeof ERROR_CODES, ...(keyof typeof ERROR_CODES)[]]),
    message: z.string(),
    remedy: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
    logPath: z.string().optional(),
    undo: z.array(z.string()).optional(),
  })
  .meta({ id: 'Error' });

export const operationSchema = z
  .strictObject({
    id: z.string(),
    verb: z.string().describe('for example vm.create'),
    vmId: z.string().nullable(),
    vmName: z.string().nullable(),
    state: z.enum(['running', 'done', 'failed', 'cancelled']),
    createdAt: z.string(),
    endedAt: z.string().nullable(),
    error: errorSchema.nullable(),
  })
  .meta({ id: 'Operation' });

/** One line of `GET /v1/operations/:id/events`. */
export const operationEventSchema = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('stage'),
      seq: z.number(),
      atMs: z.number().describe('since the operation began'),
      stage: z.string().describe('stable name'),
      title: z.string().describe('for people'),
      status: z.enum(['started', 'done', 'skipped', 'failed', 'undone']),
      durationMs: z.number().optional(),
    }),
    z.strictObject({
      type: z.literal('progress'),
      seq: z.number(),
      atMs: z.number(),
      stage: z.string(),
      text: z.string(),
      fraction: z.number().optional(),
    }),
    z.strictObject({ type: z.literal('log'), seq: z.number(), atMs: z.number(), line: z.string() }),
    z.strictObject({
      type: z.literal('end'),
      seq: z.number(),
      atMs: z.number(),
      state: z.enum(['done', 'failed', 'cancelled']),
      error: errorSchema.nullable(),
      vm: vmSchema.nullable(),
    }),
  ])
  .meta({ id: 'OperationEvent' });

const findingSchema = z
  .strictObject({
    name: z.string(),
    level: z.enum(['pass', 'warn', 'fail']),
    reason: z.string(),
    remedy: z.string().optional(),
    vm: z.string().optional().describe('name of the VM that it is about'),
    fixable: z.boolean().optional().describe('POST /v1/doctor/fix repairs it'),
  })
  .meta({ id: 'Finding' });

/** What one driver can do on this host; a driver with several accelerators has one entry for each. */
const driverCapabilitySchema = z
  .strictObject({
    kind: z.enum(['hypervisor', 'network', 'storage']),
    name: z.string(),
    accelerator: z.enum(['kvm', 'tcg']).nullable(),
    usable: z.boolean(),
    chosen: z.boolean().describe('new VMs get it'),
    reason: z.string(),
    remedy: z.string().nullable(),
    notWith: z.array(z.string()).describe('hypervisors that do not support it'),
  })
  .meta({ id: 'DriverCapability' });

export const doctorReportSchema = z
  .strictObject({ drivers: z.array(driverCapabilitySchema), findings: z.array(findingSchema) })
  .meta({ id: 'DoctorReport' });

/** The result of each repair, and the report after the repairs. */
export const doctorFixSchema = z
  .strictObject({
    fixed: z.array(
      z.strictObject({
        name: z.string(),
        vm: z.string().optional(),
        did: z.string(),
        error: z.string().optional().describe('why it failed'),
      }),
    ),
    report: doctorReportSchema,
  })
  .meta({ id: 'DoctorFix' });

const choiceSchema = z.strictObject({ name: z.string(), reason: z.string() });

const listenerSchema = z.strictObject({ address: z.string(), listening: z.boolean(), problem: z.string().nullable() });

export const daemonStatusSchema = z
  .strictObject({
    pid: z.number(),
    version: z.string(),
    build: z.string(),
    startedAt: z.string(),
    uptimeMs: z.number(),
    memoryBytes: z.number(),
    socketPath: z.string(),
    databasePath: z.string(),
    logPath: z.string(),
    vmLogsDirectory: z.string().describe('serial console, VMM and events of each VM'),
    operationLogsDirectory: z.string().describe('raw output of tools'),
    configPath: z.string(),
    bundleDirectory: z.string().nullable(),
    dns: listenerSchema,
    http: listenerSchema.describe('the HTTP front, see docs/networking.md'),
    drivers: z.strictObject({ hypervisor: choiceSchema, accelerator: choiceSchema, storage: choiceSchema, network: choiceSchema }),
    vms: z.strictObject({ total: z.number(), running: z.number() }),
    spares: z
      .strictObject({ ready: z.number(), wanted: z.number(), problem: z.string().nullable().describe('why there are less than wanted') })
      .describe('finished clones that wait for the next `vm create`'),
  })
  .meta({ id: 'DaemonStatus' });

export const openSessionSchema = z
  .strictObject({ vm: z.string(), what: z.string().describe('as a command line says it'), since: z.string() })
  .meta({ id: 'OpenSession' });

export const bundleStatusSchema = z
  .strictObject({
    directory: z.string(),
    found: z.boolean(),
    stale: z.boolean(),
    problems: z.array(z.string()),
    remedy: z.string().nullable(),
    kernelVersion: z.string().nullable(),
    distribution: z.string().nullable(),
    builtAt: z.string().nullable(),
    files: z.array(
      z.strictObject({ part: z.string(), path: z.string(), sizeBytes: z.number(), sha256: z.string(), version: z.string().optional() }),
    ),
  })
  .meta({ id: 'BundleStatus' });

export const execSchema = z
  .strictObject({
    argv: z.array(z.string()).min(1).describe('with env as much as execve of Linux takes: 2 MiB in all, 128 KiB in one word'),
    env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).optional(),
    cwd: z
      .string()
      .startsWith('/')
      .refine((path) => isPath(path), `must be a path of at most ${LIMITS.pathBytes} bytes without NUL`)
      .optional(),
    tty: z.boolean().optional(),
    rows: z.number().int().min(1).max(65_535).optional(),
    columns: z.number().int().min(1).max(65_535).optional(),
    user: z.string().min(1).max(64).optional(),
  })
  .superRefine(({ argv, env }, context) => {
    const problem = execProblem(argv, env);
    if (problem !== undefined) context.addIssue({ code: 'custom', path: ['argv'], message: problem });
  })
  .meta({ id: 'Exec' });

function isPath(path: string): boolean {
  return Buffer.byteLength(path) <= LIMITS.pathBytes && !path.includes('\0') && path.isWellFormed();
}

export const healthSchema = z
  .strictObject({
    vm: z.string(),
    state: z.enum(SEEN_STATES),
    agent: z.enum(['ok', 'unreachable', 'not-running']),
    init: z
      .enum(['starting', 'running', 'degraded', 'maintenance', 'unknown'])
      .nullable()
      .describe('maintenance: its boot failed, and it waits in rescue or emergency mode'),
    uptimeMs: z.number().nullable(),
    problem: z.string().nullable().describe('what is wrong with the VM, such as why it is not adopted'),
    clockOffsetMs: z.number().nullable().describe("the guest's clock less the host's"),
  })
  .meta({ id: 'Health' });

/** What an ssh client needs to reach this VM through `banger internal ssh-proxy`. */
export const sshAccessSchema = z
  .strictObject({
    user: z.string(),
    privateKeyPath: z.string(),
    hostKeyAlias: z.string(),
    hostPublicKey: z.string(),
    knownHostsPath: z.string(),
  })
  .meta({ id: 'SshAccess' });

/** What an ssh client needs for every VM. */
export const sshLoginSchema = sshAccessSchema.pick({ user: true, privateKeyPath: true }).meta({ id: 'SshLogin' });

const diskUseSchema = z.strictObject({
  sizeBytes: z.number(),
  allocatedBytes: z.number().describe('on the host, by stat'),
  usedBytes: z.number().nullable().describe("what the guest's file system says; null when it does not run or does not answer"),
});

/** What VMs use, and what is reserved for them. */
export const statsSchema = z
  .strictObject({
    time: z.string(),
    intervalMs: z.number().describe('over which cpuPercent was measured'),
    host: z.strictObject({
      cpuCount: z.number(),
      memoryBytes: z.number(),
      disk: z.strictObject({ path: z.string(), totalBytes: z.number(), freeBytes: z.number() }).describe('file system of the state'),
    }),
    reserved: z.strictObject({ vcpuCount: z.number(), memoryBytes: z.number() }).describe('by running VMs'),
    used: z
      .strictObject({ cpuPercent: z.number().describe('of one processor'), residentBytes: z.number() })
      .describe('used by all VMMs, reserved or not'),
    allocatedBytes: z.number().describe('of all overlays and work disks'),
    ready: z
      .strictObject({ templates: z.number(), spares: z.number(), residentBytes: z.number(), allocatedBytes: z.number() })
      .describe('what banger keeps for the next `vm create`; counted above, too'),
    vms: z.array(
      z.strictObject({
        id: z.string(),
        name: z.string(),
        state: z.enum(SEEN_STATES),
        vcpuCount: z.number(),
        memoryBytes: z.number().describe('what the guest has'),
        cpuPercent: z.number().nullable().describe('of one processor; null without a VMM'),
        residentBytes: z.number().nullable().describe('memory that the VMM has on the host'),
        rootOverlay: diskUseSchema,
        workDisk: diskUseSchema,
      }),
    ),
  })
  .meta({ id: 'Stats' });

export type Stats = z.infer<typeof statsSchema>;
export type VmView = z.infer<typeof vmSchema>;
export type CreateVm = z.infer<typeof createVmSchema>;
export type SetVm = z.infer<typeof setVmSchema>;
export type Operation = z.infer<typeof operationSchema>;
export type OperationEvent = z.infer<typeof operationEventSchema>;
export type DaemonStatus = z.infer<typeof daemonStatusSchema>;
export type OpenSession = z.infer<typeof openSessionSchema>;
export type DoctorReport = z.infer<typeof doctorReportSchema>;
export type DoctorFix = z.infer<typeof doctorFixSchema>;
export type BundleStatus = z.infer<typeof bundleStatusSchema>;
export type ExecBody = z.infer<typeof execSchema>;
export type Health = z.infer<typeof healthSchema>;
export type SshAccess = z.infer<typeof sshAccessSchema>;
export type SshLogin = z.infer<typeof sshLoginSchema>;
