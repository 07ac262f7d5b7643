/**
 * Addresses as operators write them:
 *
 *   listen    host:port   [ipv6]:port   ipv6:port   /path   /path 0777
 *   server    host:port:weight   /path:weight, each with " name" behind it if it has one
 *
 * Everything is cut from the end, as twemproxy does, so `::1:6380` is host ::1 and port 6380.
 * A name defaults to "host:port" as written; "host" for port 11211; "/path:" for a unix socket.
 * The name is what ketama hashes, so these oddities decide where keys live.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { ListenAddress, ServerAddress, ServerSettings, TcpAddress } from './settings.js';
import { quoted } from './remarks.js';

const PORT_MAX = 65535;
const WEIGHT_MAX = 2_147_483_647;
export const NAME_MAX_BYTES = 255;  // of pools and servers
const UNIX_PATH_MAX_BYTES = 107;    // sun_path less its terminating zero
const PORT_WITHOUT_NAME = 11211;    // libmemcached's rule, kept by twemproxy

const EVERY_HOST = '(0.0.0.0 is every IPv4 address, :: every address)';

export const LISTEN_FORM = 'host:port, [ipv6]:port, or /path with an octal mode behind it';
export const TCP_FORM = 'host:port or [ipv6]:port';
export const SERVER_FORM = 'host:port:weight [name] or /path:weight [name]';

/** Why a text is no value: the reason, and the index of the character it is about. */
export class Wrong {
  constructor(readonly reason: string, readonly index = 0) {}
}

export function parseListenAddress(text: string): ListenAddress | Wrong {
  return text.startsWith('/') ? parseListenPath(text) : parseTcpAddress(text);
}

function parseListenPath(text: string): ListenAddress | Wrong {
  const space = text.lastIndexOf(' ');
  if (space < 0) return checkPath(text) ?? { kind: 'unix', path: text, text };
  const modeText = text.slice(space + 1);
  const path = text.slice(0, space).trimEnd();
  if (!/^[0-7]{1,4}$/.test(modeText) || parseInt(modeText, 8) > 0o777) {
    return new Wrong(`${quoted(modeText)} is not an octal mode from 0 to 0777`, space + 1);
  }
  return checkPath(path) ?? { kind: 'unix', path, mode: parseInt(modeText, 8), text };
}

export function parseTcpAddress(text: string): TcpAddress | Wrong {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return new Wrong(`${quoted(text)} has no port`);
  const port = parsePort(text, colon + 1, text.length);
  if (port instanceof Wrong) return port;
  const host = parseHost(text.slice(0, colon));
  if (host instanceof Wrong) return host;
  return { kind: 'tcp', host, port, text };
}

/** `line` is kept in the result; a server without a name gets twemproxy's default. */
export function parseServer(text: string, line: number): ServerSettings | Wrong {
  const space = text.lastIndexOf(' ');
  const name = space < 0 ? '' : text.slice(space + 1);
  const misnamed = checkServerName(name, space + 1);
  if (misnamed !== null) return misnamed;
  const end = space < 0 ? text.length : text.slice(0, space).trimEnd().length;
  const weightColon = text.lastIndexOf(':', end - 1);
  if (weightColon < 0) return new Wrong(`${quoted(text)} has no weight`);
  const addressText = text.slice(0, weightColon);
  if (!addressText.startsWith('/') && looksWithoutWeight(addressText)) {
    return new Wrong(`${quoted(text)} has no weight`);
  }
  const weight = parseWeight(text, weightColon + 1, end);
  if (weight instanceof Wrong) return weight;
  const address = parseServerAddress(addressText);
  if (address instanceof Wrong) return address;
  return { name: name === '' ? defaultServerName(address) : name, address, weight, line };
}

function checkServerName(name: string, index: number): Wrong | null {
  if (/[\s\0]/.test(name)) return new Wrong(`${quoted(name)} has a blank in its name`, index);
  if (Buffer.byteLength(name) <= NAME_MAX_BYTES) return null;
  return new Wrong(`the server's name is longer than ${NAME_MAX_BYTES} bytes`, index);
}

/** `host` alone, or `[ipv6]`, is left when "host:port" was written without a weight. */
function looksWithoutWeight(addressText: string): boolean {
  return !addressText.includes(':') || addressText.endsWith(']');
}

function parseServerAddress(text: string): ServerAddress | Wrong {
  if (!text.startsWith('/')) return parseTcpAddress(text);
  return checkPath(text) ?? { kind: 'unix', path: text, text };
}

export function defaultServerName(address: ServerAddress): string {
  if (address.kind === 'unix') return `${address.path}:`;
  if (address.port !== PORT_WITHOUT_NAME) return address.text;
  return address.text.slice(0, address.text.lastIndexOf(':'));
}

/** The line of a `servers` list that gives this server. */
export function printServer(server: ServerSettings): string {
  const line = `${server.address.text}:${server.weight}`;
  return server.name === defaultServerName(server.address) ? line : `${line} ${server.name}`;
}

/** One text for each place to listen at, however it was spelled. */
export function canonicalAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return address.path;
  const { host, port } = address;
  if (!isIPv6(host) || host.includes('%')) return `${host.toLowerCase()}:${port}`;
  return `${new URL(`http://[${host}]`).hostname}:${port}`;
}

function parsePort(text: string, start: number, end: number): number | Wrong {
  const port = digits(text.slice(start, end));
  if (port >= 1 && port <= PORT_MAX) return port;
  return new Wrong(`${quoted(text.slice(start, end))} is not a port from 1 to ${PORT_MAX}`, start);
}

function parseWeight(text: string, start: number, end: number): number | Wrong {
  const weight = digits(text.slice(start, end));
  if (weight >= 1 && weight <= WEIGHT_MAX) return weight;
  const what = quoted(text.slice(start, end));
  return new Wrong(`${what} is not a weight from 1 to ${WEIGHT_MAX}`, start);
}

/** Decimal digits only, as twemproxy reads numbers (leading zeros do not mean octal); else -1. */
function digits(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : -1;
}

function parseHost(text: string): string | Wrong {
  if (text === '') return new Wrong(`has no host ${EVERY_HOST}`);
  if (text === '*') return new Wrong(`"*" is not a host ${EVERY_HOST}`);
  const bracketed = /^\[(.*)\]$/.exec(text);
  const host = bracketed === null ? text : bracketed[1];
  if (bracketed !== null || host.includes(':')) {
    return isIPv6(host) ? host : new Wrong(`${quoted(host)} is not an IPv6 address`);
  }
  if (/^[\d.]+$/.test(host)) {
    return isIPv4(host) ? host : new Wrong(`${quoted(host)} is not an IPv4 address`);
  }
  const isName = host.length <= 253 && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(host);
  return isName ? host : new Wrong(`${quoted(host)} is not a host name`);
}

function checkPath(path: string): Wrong | null {
  if (path.includes('\0')) return new Wrong('the socket path has a zero byte');
  if (path.endsWith('/')) return new Wrong(`${quoted(path)} is a directory, not a socket path`);
  if (Buffer.byteLength(path) <= UNIX_PATH_MAX_BYTES) return null;
  return new Wrong(`the socket path is longer than ${UNIX_PATH_MAX_BYTES} bytes`);
}
