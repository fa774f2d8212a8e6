import type { Vm } from '../model/vm.ts';
import { stepResult } from './step-result.ts';

/** The machine whose disks and memory a new VM begins with, in place of an image's; absent while a VM is made from an image. */
export const cloneSource = stepResult<Vm>('the template');
