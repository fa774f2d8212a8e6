// Every route of the API.
import type { RouteGroup } from './route.ts';
import { DAEMON_ROUTES, OPERATION_ROUTES } from './routes/daemon.ts';
import { GUEST_ROUTES } from './routes/guest.ts';
import { BUNDLE_ROUTES, IMAGE_ROUTES } from './routes/images.ts';
import { VM_ROUTES } from './routes/vms.ts';

export type Routes = typeof VM_ROUTES &
  typeof GUEST_ROUTES &
  typeof OPERATION_ROUTES &
  typeof IMAGE_ROUTES &
  typeof BUNDLE_ROUTES &
  typeof DAEMON_ROUTES;

/** In the order in which docs/api.md has them. */
export const ROUTE_GROUPS: readonly RouteGroup[] = [
  { title: 'VMs', routes: VM_ROUTES },
  { title: 'In the guest', routes: GUEST_ROUTES },
  { title: 'Operations', routes: OPERATION_ROUTES },
  { title: 'Images', routes: IMAGE_ROUTES },
  { title: 'The runtime bundle', routes: BUNDLE_ROUTES },
  { title: 'The daemon and its host', routes: DAEMON_ROUTES },
];
