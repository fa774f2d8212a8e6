import { z } from 'zod';
import { formatSize, parseSize } from '../lib/size.ts';

/** A size in config.toml, in bytes. @param bareUnit the unit of a number without one */
export const sizeSchema = (bareUnit: number, min: number, max: number) =>
  z
    .union([z.string(), z.number()])
    .transform((value) => parseSize(String(value), { bareUnit }))
    .pipe(
      z
        .number({ error: 'not a size such as "512M" or "8GiB"' })
        .min(min, `must be at least ${formatSize(min)}`)
        .max(max, `must be at most ${formatSize(max)}`),
    );
