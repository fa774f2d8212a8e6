// Routes of images, and of the runtime bundle that VMs start with.
import { z } from 'zod';
import {
  buildImageSchema,
  imageSchema,
  importImageSchema,
  promoteImageSchema,
  provisionStepSchema,
  pruneImagesSchema,
  registerImageSchema,
} from '../image-schemas.ts';
import { declareRoutes, HOST_ERRORS, IMAGE_ERRORS, json, operation } from '../route.ts';
import { bundleStatusSchema } from '../schemas.ts';

export const IMAGE_ROUTES = declareRoutes({
  'GET /v1/images': { does: 'shows every image', reply: json(z.array(imageSchema)), errors: [] },
  'GET /v1/images/:ref': { does: 'shows an image', reply: json(imageSchema), errors: [] },
  'GET /v1/provision-steps': {
    does: 'shows what building an image can do to a guest',
    reply: json(z.array(provisionStepSchema)),
    errors: ['PREREQUISITE_MISSING'],
  },
  'POST /v1/images/build': {
    does: 'builds an image from another one in a VM; the log lines of the operation are what the guest prints',
    body: buildImageSchema,
    reply: operation,
    errors: ['NAME_TAKEN', ...IMAGE_ERRORS, ...HOST_ERRORS],
  },
  'POST /v1/images/import': {
    does: 'makes an image of a container or of a root file system',
    body: importImageSchema,
    reply: operation,
    errors: ['NAME_TAKEN', ...IMAGE_ERRORS, ...HOST_ERRORS],
  },
  'POST /v1/images/register': {
    does: 'takes files of this host as an image, and leaves them where they are',
    body: registerImageSchema,
    reply: json(imageSchema, 201),
    errors: ['NAME_TAKEN', ...IMAGE_ERRORS],
  },
  'POST /v1/images/:ref/promote': {
    does: 'copies the files of a registered image, so that they are in the care of banger',
    body: promoteImageSchema,
    reply: operation,
    errors: ['WRONG_STATE', 'NAME_TAKEN'],
  },
  'DELETE /v1/images/:ref': { does: 'deletes an image that no VM uses', reply: operation, errors: ['WRONG_STATE'] },
  'POST /v1/images/prune': {
    does: 'deletes images that nobody needs; each that goes is a stage of the operation',
    body: pruneImagesSchema,
    reply: operation,
    errors: [],
  },
});

const absolutePath = z.string().startsWith('/').max(4096);
const address = z.url({ protocol: /^(https?|file)$/ }).max(4096);

export const BUNDLE_ROUTES = declareRoutes({
  'GET /v1/bundle': { does: 'shows the runtime bundle', reply: json(bundleStatusSchema), errors: [] },
  'POST /v1/bundle/build': {
    does: 'makes the bundle from packages of this host',
    body: z
      .strictObject({
        force: z.boolean().optional().describe('also when nothing has changed'),
        firecracker: absolutePath.optional().describe('program to copy into the bundle'),
        jailer: absolutePath.optional().describe('of the same release; only with firecracker'),
      })
      .nullish(),
    reply: operation,
    errors: ['UNSUPPORTED'],
  },
  'POST /v1/bundle/fetch': {
    does: 'fetches a bundle that somebody else has made, or a program for the one that is there',
    body: z.strictObject({
      program: z.literal('firecracker').optional().describe('only this program into the bundle that is there; default: a whole bundle'),
      manifest: address.optional().describe('runtime-bundle.toml of a bundle; default: the one of the installation'),
      url: address.optional().describe('release archive of the program; default: the pinned one'),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .optional()
        .describe('of that archive, or of that manifest'),
    }),
    reply: operation,
    errors: ['UNSUPPORTED'],
  },
  'POST /v1/bundle/package': {
    does: 'packs the bundle for other hosts',
    body: z.strictObject({
      path: absolutePath.describe('of the archive, on the machine of the daemon; runtime-bundle.toml is written beside it'),
      url: address.optional().describe('where the archive will be; default: beside its manifest'),
    }),
    reply: operation,
    errors: [],
  },
});
