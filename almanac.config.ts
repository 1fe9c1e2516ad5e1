import { audienceIndex } from './pipelines/audience-index/pipeline';
import { defineProject } from './pipelines/define';

/** The pipelines of this repository: the project that runs when no other is named. */
export default defineProject({ pipelines: [audienceIndex] });
