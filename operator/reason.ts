import { AlmanacError } from '../pipelines/failures';

/** The reason a verb records, without blanks around it. Throws `reason.missing` for one that says nothing. */
export function requireReason(reason: string, verb: string): string {
  const said = reason.replaceAll(/^[\s\u200b]+|[\s\u200b]+$/g, '');
  if (said !== '') return said;
  throw new AlmanacError('reason.missing', `${verb} was given no reason; whoever looks at it later will ask for it`, {
    next: 'say why: --reason "file replaced by its sender"',
  });
}
