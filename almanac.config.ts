import { audienceIndex } from './pipelines/audience-index/pipeline';
import { defineProject } from './pipelines/define';
import { listenerProfiles } from './pipelines/listener-profiles/pipeline';
import { organicShare } from './pipelines/organic-share/pipeline';

/** The pipelines of this repository: the project that runs when no other is named. */
export default defineProject({ pipelines: [audienceIndex, organicShare, listenerProfiles] });
