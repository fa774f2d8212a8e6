import type { LifecycleServices } from '../../context/services.ts';
import { makeTemplate, type TemplateWish } from './make.ts';
import { findTemplate } from './templates.ts';

const silent = { journal: () => undefined, log: () => undefined, progress: () => undefined };

/** Makes a template for the next VM of this shape, unless there is one. Nobody waits for it. */
export function makeInBackground(services: LifecycleServices, wish: TemplateWish): void {
  if (findTemplate(services, wish.shape) !== undefined) return;
  services.background.begin(`template of ${wish.image.name}, ${wish.shape}`, (signal) =>
    makeTemplate(services, wish, { ...silent, signal }),
  );
}
