import { ENGINE_NAMES, isEngineName } from './engine-choice';
import type { Problem } from './rules';
import { parseSize } from './size';

/** What is wrong with the engine a compute stage declares; the project file is not type-checked when it is loaded. */
export function engineProblems(place: string, engine: unknown): Problem[] {
  if (engine === undefined || engine === 'none' || (typeof engine === 'string' && isEngineName(engine))) return [];
  const above: unknown = typeof engine === 'object' && engine !== null && 'sparkAbove' in engine ? engine.sparkAbove : undefined;
  if (above === undefined) {
    const known = [...ENGINE_NAMES, 'none'].map((name) => `'${name}'`).join(', ');
    return [{ place: `${place}.engine`, message: `${JSON.stringify(engine)} is none of ${known} and { sparkAbove: '20GB' }` }];
  }
  if (typeof above === 'string' && parseSize(above) !== undefined) return [];
  return [{ place: `${place}.engine.sparkAbove`, message: `${JSON.stringify(above)} is no size such as 20GB or 512MiB` }];
}
