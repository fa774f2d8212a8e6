// Routes of images and of the runtime bundle.
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
import { templateSchema } from '../template-schemas.ts';

export const IMAGE_ROUTES = declareRoutes({
  'GET /v1/images': { does: 'lists images', reply: json(z.array(imageSchema)), errors: [] },
  'GET /v1/images/:ref': { does: 'shows an image', reply: json(imageSchema), errors: [] },
  'GET /v1/provision-steps': {
    does: 'lists the provisioning steps of image builds',
    reply: json(z.array(provisionStepSchema)),
    errors: ['PREREQUISITE_MISSING'],
  },
  'POST /v1/images/build': {
    does: 'builds an image from another one in a VM; log lines of the operation are the output of the guest',
    body: buildImageSchema,
    reply: operation,
    errors: ['NAME_TAKEN', ...IMAGE_ERRORS, ...HOST_ERRORS],
  },
  'POST /v1/images/import': {
    does: 'makes an image from a container image or a root file system',
    body: importImageSchema,
    reply: operation,
    errors: ['NAME_TAKEN', ...IMAGE_ERRORS, ...HOST_ERRORS],
  },
  'POST /v1/images/register': {
    does: 'registers files of this host as an image, in place',
    body: registerImageSchema,
    reply: json(imageSchema, 201),
    errors: ['NAME_TAKEN', ...IMAGE_ERRORS],
  },
  'POST /v1/images/:ref/promote': {
    does: 'copies the files of a registered image into the state directory',
    body: promoteImageSchema,
    reply: operation,
    errors: ['WRONG_STATE', 'NAME_TAKEN'],
  },
  'POST /v1/images/:ref/warm': {
    does: 'makes a template of an image for VMs with default settings, unless there is one',
    reply: operation,
    errors: [...IMAGE_ERRORS, ...HOST_ERRORS],
  },
  'GET /v1/templates': {
    does: 'lists the templates from which VMs are made without a boot',
    reply: json(z.array(templateSchema)),
    errors: [],
  },
  'DELETE /v1/templates/:ref': { does: 'deletes a template; VMs that were made from it stay', reply: operation, errors: [] },
  'DELETE /v1/images/:ref': { does: 'deletes an image that no VM uses', reply: operation, errors: ['WRONG_STATE'] },
  'POST /v1/images/prune': {
    does: 'deletes unused images; each is a stage of the operation',
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
        force: z.boolean().optional().describe('build even when nothing has changed'),
        firecracker: absolutePath.optional().describe('program to copy into the bundle'),
        jailer: absolutePath.optional().describe('of the same release; only with firecracker'),
      })
      .nullish(),
    reply: operation,
    errors: ['UNSUPPORTED'],
  },
  'POST /v1/bundle/fetch': {
    does: 'downloads a packaged bundle, or a program for the installed one',
    body: z.strictObject({
      program: z.literal('firecracker').optional().describe('add only this program to the installed bundle; default: a whole bundle'),
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
      url: address.optional().describe('address that the archive will have; default: beside its manifest'),
    }),
    reply: operation,
    errors: [],
  },
});
