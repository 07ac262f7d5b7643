/** HELP of every container: the subcommands that Baton carries, from the command table. */
import { Plan } from '../protocol/command.js';
import { commands } from '../protocol/command-table.js';
import { fail } from '../base/assert.js';
import { writerFor, type LocalAnswer, type LocalHandler, type LocalRequest } from
  './local-answer.js';

function onHelp(request: LocalRequest): LocalAnswer {
  const container = commands[request.id].parent ?? fail('HELP is a subcommand');
  const lines = [
    `${container.name.toUpperCase()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
  ];
  for (const { name, plan, summary } of container.subcommands) {
    if (plan === Plan.Refused) continue;
    lines.push(name.slice(name.indexOf('|') + 1).toUpperCase(), `    ${summary}.`);
  }
  const writer = writerFor(request).array(lines.length);
  for (const line of lines) writer.simple(line);
  return { reply: writer.finish() };
}

export const helpHandlers: ReadonlyMap<number, LocalHandler> = new Map<number, LocalHandler>(
  commands
    .filter((command) => command.parent !== null && command.name.endsWith('|help'))
    .map((command) => [command.id, onHelp]),
);
