import { Option } from 'commander';
import type { Config } from '../lib/config';
import { ENGINE_NAMES } from '../pipelines/engine-choice';
import type { EngineName } from '../pipelines/types';
import type { CliIo } from './io';

/** `--engine`, the same wherever a run gets its params. */
export function engineOption(): Option {
  return new Option('--engine <name>', 'compute every stage on this engine, whatever its pipeline declares').choices([...ENGINE_NAMES]);
}

/** Workers have their own environment, so what this one lacks is only worth a word. */
export function warnWithoutEmr(io: CliIo, { emr }: Pick<Config, 'emr'>, engine: EngineName | undefined): void {
  if (engine !== 'spark' || emr !== undefined) return;
  io.warn('ALMANAC_EMR_SETTINGS is not set here; where compute workers lack it too, stages on Spark fail with engine.unconfigured');
}
