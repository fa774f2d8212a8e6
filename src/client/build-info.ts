declare const BANGER_BUILD: string | undefined;
declare const BANGER_VERSION: string | undefined;

/** Put in by the bundler; a program that runs from its sources is the build `dev`. */
export const BUILD: string = typeof BANGER_BUILD === 'string' ? BANGER_BUILD : 'dev';
export const VERSION: string = typeof BANGER_VERSION === 'string' ? BANGER_VERSION : '0.0.0-dev';
