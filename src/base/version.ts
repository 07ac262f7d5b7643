/** What this build calls itself, and whose commands it speaks. */
import { readFileSync } from 'node:fs';

interface Package {
  readonly version: string;
}

const file = new URL('../../../package.json', import.meta.url);

export const VERSION = (JSON.parse(readFileSync(file, 'utf8')) as Package).version;
export const REDIS_VERSION = '7.2.0';
