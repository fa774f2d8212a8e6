import { z } from 'zod';
import { createVmSchema, operationSchema, setVmSchema, vmSchema } from '../../api/schemas.ts';
import { createVm } from '../../lifecycle/vm/create.ts';
import { resolveReference } from '../../model/reference.ts';
import { setVm } from '../../lifecycle/vm/set.ts';
import { deleteVm, killVm, restartVm, startVm, stopVm } from '../../lifecycle/vm/verbs.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { Vm } from '../../model/vm.ts';
import { type Attachments, acceptOperation } from '../attachments.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';
import { vmListText, vmView } from '../views.ts';

const params = z.object({ ref: z.string().max(200) });
const waitFor = z.enum(['agent', 'ssh', 'services']).optional();
/** Whether a system of the image runs beside the VM's own disks. */
const rescue = z.boolean().optional();
const graceMs = z.number().int().min(0).max(3_600_000).optional();
const SIGNALS = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGSTOP', 'SIGCONT'] as const;

/** `/v1/vms`: the records, and the verbs as operations. */
export function vmRoutes(server: TypedServer, services: DaemonServices, attachments: Attachments): void {
  const view = (vm: Vm) => vmView(services, vm);
  const resolve = (reference: string): Vm => resolveReference('VM', services.vms, reference);
  const accept = acceptOperation(attachments);

  server.get('/v1/vms', { schema: { response: { 200: z.array(vmSchema) } } }, (_request, reply) => {
    void reply.type('application/json').send(vmListText(services) as never);
  });

  server.get('/v1/vms/:ref', { schema: { params, response: { 200: vmSchema } } }, (request) => view(resolve(request.params.ref)));

  server.post('/v1/vms', { schema: { body: createVmSchema, response: { 202: operationSchema } } }, async (request, reply) => {
    const { name, image, labels, start = true, waitFor: level, ...asked } = request.body;
    const operation = await createVm(services, {
      ...(name === undefined ? {} : { name }),
      ...(image === undefined ? {} : { image }),
      ...(labels === undefined ? {} : { labels }),
      asked,
      start,
      waitForServices: level === undefined || level === 'services',
    });
    return accept(request, reply, operation);
  });

  /** A verb on one VM: its schema, and what begins it. */
  const verb = <Body extends z.ZodType>(name: string, body: Body, begin: (vm: Vm, options: z.output<Body>) => OperationRecord): void => {
    server.post(`/v1/vms/:ref/${name}`, { schema: { params, body, response: { 202: operationSchema } } }, (request, reply) =>
      accept(request, reply, begin(resolve(request.params.ref), request.body as z.output<Body>)),
    );
  };
  verb('start', z.strictObject({ waitFor, rescue }).nullish(), (vm, o) =>
    startVm(services, vm, { waitForServices: wantsServices(o?.waitFor), ...given('rescue', o?.rescue) }),
  );
  verb('stop', z.strictObject({ graceMs }).nullish(), (vm, o) => stopVm(services, vm, given('graceMs', o?.graceMs)));
  verb('restart', z.strictObject({ graceMs, waitFor, rescue }).nullish(), (vm, o) =>
    restartVm(services, vm, { ...given('graceMs', o?.graceMs), ...given('rescue', o?.rescue), waitForServices: wantsServices(o?.waitFor) }),
  );
  verb('kill', z.strictObject({ signal: z.enum(SIGNALS).optional() }).nullish(), (vm, o) =>
    killVm(services, vm, given('signal', o?.signal)),
  );
  verb('set', setVmSchema, (vm, asked) => setVm(services, vm, asked));

  server.delete('/v1/vms/:ref', { schema: { params, response: { 202: operationSchema } } }, (request, reply) =>
    accept(request, reply, deleteVm(services, resolve(request.params.ref))),
  );
}

function wantsServices(level: 'agent' | 'ssh' | 'services' | undefined): boolean {
  return level === undefined || level === 'services';
}

/** An optional member that is there only when it has a value. */
function given<Name extends string, Value>(name: Name, value: Value | undefined): { [N in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { [N in Name]?: Value };
}
