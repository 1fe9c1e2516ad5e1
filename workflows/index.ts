export { runPipeline } from './run-pipeline';
