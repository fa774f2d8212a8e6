import type { Plugin } from 'esbuild';

/** Modules that packages of the daemon load and never call: their importers, and their substitutes. */
const UNUSED: readonly { request: RegExp; reason: string; contents: string }[] = [
  {
    request: /^@fastify\/(ajv-compiler|fast-json-stringify-compiler)$/,
    reason: 'the server has compilers of its own, from zod',
    contents: "module.exports = () => () => { throw new Error('a schema is not of zod'); };",
  },
  {
    request: /^\.\.\/locales\/index\.js$/,
    reason: 'English is loaded where zod needs it; the other fifty languages never',
    contents: 'export {};',
  },
  {
    request: /^@opentelemetry\/api$/,
    reason: 'asked for the trace that an exemplar belongs to; there are no exemplars',
    contents: 'exports.trace = { getSpan: () => undefined }; exports.context = { active: () => undefined };',
  },
];

/** Leaves code out of the daemon that it never calls: a fifth, which would be read, compiled and kept in memory. */
export const withoutUnused: Plugin = {
  name: 'without-unused',
  setup(build) {
    for (const [at, { request }] of UNUSED.entries()) {
      build.onResolve({ filter: request }, ({ importer }) =>
        importer.includes('/node_modules/') ? { path: String(at), namespace: 'unused' } : undefined,
      );
    }
    build.onLoad({ filter: /.*/, namespace: 'unused' }, ({ path }) => ({ contents: UNUSED[Number(path)]?.contents ?? '', loader: 'js' }));
  },
};
