/** Which Baton this is, and whose command set it speaks. */
import { readFileSync } from 'node:fs';

interface PackageFile { readonly version: string }

const file = new URL('../../../package.json', import.meta.url); // from dist/src/base

/** Ours, from package.json. */
export const VERSION = (JSON.parse(readFileSync(file, 'utf8')) as PackageFile).version;

/** The Redis whose commands and replies are the model. */
export const REDIS_VERSION = '7.2.0';
