declare const BANGER_BUILD: string | undefined;
declare const BANGER_VERSION: string | undefined;

/** The bundler sets it; a program that runs from its sources has the build `dev`. */
export const BUILD: string = typeof BANGER_BUILD === 'string' ? BANGER_BUILD : 'dev';
export const VERSION: string = typeof BANGER_VERSION === 'string' ? BANGER_VERSION : '0.0.0-dev';
