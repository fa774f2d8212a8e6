// Runs a program once, and writes the code that V8 has compiled meanwhile.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const [directory = ''] = process.argv.slice(2);
setFlagsFromString('--no-function-context-cells');
const script = new Script(readFileSync(join(directory, 'source'), 'latin1'), { filename: 'program' });
process.on('exit', () => writeFileSync(join(directory, 'code'), script.createCachedData()));
const filename = join(directory, 'program.cjs');
process.argv = [process.execPath, join(directory, 'source')];
const program = script.runInThisContext() as (...names: unknown[]) => void;
program({}, createRequire(filename), {}, filename, directory);
