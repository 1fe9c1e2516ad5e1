export { runPipeline } from './run-pipeline';
export { clock } from './clock';
export { backfill } from './backfill';
