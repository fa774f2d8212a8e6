import { z } from 'zod';
import { vmSpecSchema } from './schemas.ts';

export const templateSchema = z
  .strictObject({
    id: z.string(),
    image: z.string(),
    spec: vmSpecSchema.describe('of the VMs that are made from it'),
    allocatedBytes: z.number().describe('what it takes of the disk'),
    createdAt: z.string(),
    lastUsedAt: z.string().nullable().describe('when a VM was last made from it'),
  })
  .meta({ id: 'Template' });

export type TemplateView = z.infer<typeof templateSchema>;
