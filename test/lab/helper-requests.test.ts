// The root helper's own tests once more, where it is as root as it gets.
import '../support/machine/in-lab.ts';
import { join } from 'node:path';

process.env['BANGER_HELPER'] ??= join(import.meta.dirname, '../../native/helper/build/banger-helper-faulty');
await import('../../native/helper/test/requests.test.ts');
